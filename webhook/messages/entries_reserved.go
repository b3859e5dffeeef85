package messages

// reservedEntries explain the codes of reserved names and of platforms.
var reservedEntries = []Entry{
	{
		ReservedVariable, "Reserved environment variable",
		"This environment variable is reserved, because koordinator sets it.",
		"Remove the variable from the container.",
	},
	{
		ReservedPath, "Reserved path",
		"The directory `/koordinator` in containers is reserved for koordinator.",
		"Choose another path.",
	},
	{
		ReservedVolume, "Reserved volume name",
		"Some volume names that begin with `koordinator-` are reserved for volumes that koordinator adds. The pod already defines a volume with one of these names.",
		"Rename the volume.",
	},
	{
		ReservedMount, "Mount of koordinator's volume",
		"The volume belongs to koordinator. A container that writes to it could tamper with the command or the state of other containers.",
		"Mount another volume.",
	},
	{
		BindMountOptions, "Unsupported mount options",
		"Mount options such as `noexec` could prevent the execution of koordinator's program.",
		"Remove `bindMountOptions`.",
	},
	{
		ReservedContainer, "Reserved container name",
		"The name `koordinator-install` is reserved for the init container that koordinator adds.",
		"Rename the container.",
	},
	{
		BeforeInstaller, "Init container before the installer",
		"An init container that needs koordinator's program comes before `koordinator-install`, which installs the program. Another webhook has probably changed the order of the init containers.",
		"Move `koordinator-install` to the first position, or remove the settings of the other init container.",
	},
	{
		OwnCommand, "koordinator's own program as the command",
		"The container's command contains only koordinator's program, and no command that this program could run.",
		"Write the container's own command. koordinator inserts its program before it.",
	},
	{
		OwnProbe, "koordinator's own program in a probe",
		"The probe runs koordinator's program. Only koordinator may add such a probe, and koordinator cannot determine which probe of the container this probe replaced.",
		"Write the container's own probe, or remove the probe.",
	},
	{
		OwnHook, "koordinator's own program in a hook",
		"The hook runs koordinator's program. Only koordinator may add such a hook, and koordinator cannot determine which hook of the container this hook replaced.",
		"Write the container's own hook, or remove the hook.",
	},
	{
		GoVariable, "Variable of the Go runtime",
		"koordinator's program is written in Go. koordinator hides variables such as `GODEBUG` from its program, so that only the command gets them. This is not possible if the value uses `valueFrom` or refers to other variables, or if other fields refer to the variable.",
		"Write the value directly.",
	},
	{
		MirrorPod, "Mirror pod",
		"The pod mirrors a static pod on a node. The kubelet has already started the static pod, so koordinator cannot change it.",
		"Remove the koordinator annotations from the static pod.",
	},
	{
		WindowsPod, "Windows pod",
		"koordinator runs on Linux only.",
		"Remove the koordinator annotations.",
	},
	{
		TooManyContainers, "Too many containers",
		"koordinator supports pods with at most 200 containers.",
		"Remove the koordinator annotations.",
	},
}

// policyEntries explain the codes of the chart's policies.
var policyEntries = []Entry{
	{
		NotProcessed, "Pod not processed by the webhook",
		"The pod has koordinator annotations, but the webhook did not process it. The webhook is unavailable, its configuration was changed, or another webhook added the annotations too late. The API server calls webhook configurations in the alphabetical order of their names. It does not call koordinator if the pod has no koordinator annotation at its turn, even if a later webhook, for example a policy engine, adds one. Without the webhook, the containers would start in no particular order.",
		"Check the deployment and the MutatingWebhookConfiguration that the message names, then create the pod again. If another webhook adds the annotations, add them with the chart value `rules` instead, write them in the pod template, or rename the configuration of the other webhook so that its name sorts before the name of koordinator's. To run the pod unordered, set `koordinator.io/inject: \"false\"`.",
	},
	{
		NamespaceNotOn, "Namespace not enabled",
		"koordinator processes only pods in enabled namespaces.",
		"Label the namespace: `kubectl label namespace NAME koordinator.io/injection=enabled`.",
	},
	{
		Misplaced, "Annotation in the wrong place",
		"koordinator reads only annotations of pods. In a workload, they belong in the pod template. In a custom resource without a pod template, they have an effect only if its controller copies them to the pods. Tekton's controller does this.",
		"Move the annotation to the place that the message names.",
	},
	{
		MisplacedLabel, "Label without effect",
		"koordinator reads the label `koordinator.io/injection` of namespaces and, with the chart value `podOptIn.enabled`, of pods. The object has this label in another place, with an unsupported value, as an annotation, or under another name, so it has no effect.",
		"Follow the remedy in the message.",
	},
}
