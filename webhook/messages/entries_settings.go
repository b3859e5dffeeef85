package messages

// settingEntries explain the codes of settings of a container.
var settingEntries = []Entry{
	{
		StopDelayTooLong, "Stop delay uses the grace period",
		"When the pod is deleted, the command receives its stop signal after `stop-delay`, and the kubelet kills the command after `terminationGracePeriodSeconds`. The delay leaves the command little or no time to stop. The same applies to a `terminationGracePeriodSeconds` of a probe of a container that no other container depends on.",
		"Raise the grace period, or shorten the delay.",
	},
	{
		StopTimeoutTooLong, "Stop timeout exceeds the grace period",
		"When the pod is deleted, the kubelet kills the command after `terminationGracePeriodSeconds`, which is less than `stop-timeout`.",
		"Raise the grace period, or shorten the timeout.",
	},
	{
		ExitHTTPNeverSent, "Exit request is never sent",
		"koordinator sends `exit-http` after the container has exited permanently. The restart policy always restarts this container, so it never exits permanently.",
		"Remove the request, or set another restart policy.",
	},
	{
		StopHTTPUnused, "Stop request is never sent",
		"koordinator sends `stop-http` when a stop dependency is met, but the container has no stop dependency. When the pod is deleted, the command receives its stop signal instead.",
		"Remove the request, or add a stop dependency.",
	},
	{
		ExecModeImpossible, "Exec mode not possible",
		"With `mode: exec`, the command replaces the wrapper. Without a wrapper, koordinator cannot stop the command, delay a signal, run a hook or report an exit code.",
		"Remove `mode: exec`, or the settings that the message lists.",
	},
	{
		PostStartUngated, "postStart hook would run too early",
		"With `gate: false`, the kubelet runs the hook while the container still waits. The kubelet starts later containers only after the hook has finished.",
		"Remove the hook, the start dependencies, or `gate: false`.",
	},
	{
		Ungated, "Container counts as started while it waits",
		"With `gate: false`, the kubelet runs the probes while the container still waits.",
		"Remove `gate: false`, unless this is intended.",
	},
	{
		UnsupportedProbe, "Unsupported probe",
		"koordinator runs the probe itself and does not support this kind of probe.",
		"Use `exec`, `httpGet` with HTTP/1.1, `tcpSocket`, or `grpc` without TLS.",
	},
	{
		UnsupportedHook, "Unsupported hook",
		"koordinator runs the hook itself and does not support this kind of hook.",
		"Use `exec`, `httpGet` with HTTP/1.1, or `sleep`.",
	},
	{
		UnknownPort, "Unknown port",
		"A probe or hook names a port that the container does not have.",
		"Use the name of one of the container's ports, or a number.",
	},
	{
		PodStopSignal, "Invalid stop signal of the container",
		"koordinator cannot use the signal in `lifecycle.stopSignal` to stop the container.",
		"Use a signal that a command can handle.",
	},
	{
		InvalidPodField, "Invalid field of the container",
		"The container has a field that koordinator needs and that Kubernetes will reject, for example a probe with an invalid port.",
		"Correct the field.",
	},
	{
		SpecTooLong, "Spec too long",
		"koordinator passes the spec of the container in the environment variable `KOORDINATOR_SPEC`, which Linux limits to 128 KiB. The spec contains the probes and hooks of the container.",
		"Shorten the probes and hooks.",
	},
	{
		InvalidName, "Invalid container name",
		"Kubernetes will reject the name of the container, and koordinator cannot use it.",
		"Use at most 63 lowercase letters, digits and `-`, with a letter or digit at both ends.",
	},
}
