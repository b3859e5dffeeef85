package messages

// lintEntries explain the codes that only the command-line tool reports.
var lintEntries = []Entry{
	{
		MisspeltPrefix, "Misspelled prefix of an annotation",
		"The name of the annotation resembles a koordinator annotation, but does not begin with `koordinator.io/`, so the annotation has no effect.",
		"Correct the name.",
	},
	{
		WrittenTwice, "Annotation written twice",
		"The manifest contains the annotation twice in the same map. Only the last value has an effect.",
		"Merge the two values into one annotation.",
	},
	{
		NativeSidecarWould, "Native sidecars are sufficient",
		"Kubernetes supports this order without koordinator: native sidecar containers start before regular containers and stop after them.",
		"Move the sidecars to `initContainers` with `restartPolicy: Always` if it is sufficient that the regular containers wait for a startup probe. Otherwise, keep the annotations.",
	},
	{
		RestartWaitsForever, "Restarted container cannot start again",
		"With `restartPolicy: OnFailure`, a failed container restarts and waits for its start dependencies again. If another exit has stopped one of these dependencies in the meantime, the dependency never becomes ready again, and the restarted container cannot start.",
		"Set `restartPolicy: Never`, or let the dependency run until the waiting container has exited too.",
	},
}
