package messages

import "koordinator.io/koordinator/wrapper/spec"

// orderEntries explain the codes of dependencies and order.
var orderEntries = []Entry{
	{
		UnknownContainer, "Unknown container",
		"An annotation names a container that the pod does not have. If another webhook adds the container later, it must be a known sidecar or have an entry in the chart value `sidecars`.",
		"Correct the name. If another webhook adds the container, have an administrator add it to `sidecars`.",
	},
	{
		UnknownOptional, "Unknown container in an optional dependency",
		"The pod does not have the container of an optional start dependency, so koordinator ignores the dependency.",
		"No action is needed if only some variants of the pod have the container. Otherwise, correct the name.",
	},
	{
		StartCycle, "Cycle of start dependencies",
		"Each of the containers waits for the next one, and the last one waits for the first. If a start timeout or a stop dependency ends one of the waits, the message is a warning.",
		"Remove one of the dependencies.",
	},
	{
		StopCycle, "Cycle at shutdown",
		"When a pod is deleted, a container stops after the containers that depend on it. In a cycle, each container would wait for the next one to stop.",
		"Remove one of the dependencies. A stop dependency overrides the order that a start dependency between the same two containers implies.",
	},
	{
		NeverStarts, "Container never starts",
		"The start dependencies of the container are never all met at the same moment, or its stop dependencies are always met at that moment too.",
		"Remove one of the dependencies.",
	},
	{
		StoppedAsItStarts, "Container stopped when it starts",
		"The container starts after another container exits, and the same exit stops it.",
		"Remove one of the two dependencies.",
	},
	{
		HardlyEverStarts, "Container rarely starts",
		"All start dependencies are met together only for a short time, while another container is being stopped.",
		"Remove one of the dependencies, or replace `ready` with `started`.",
	},
	{
		MayWaitForever, "Container may wait indefinitely",
		"In the situation that the message describes, the container waits for a condition that can no longer be met.",
		"Set `start-timeout`, or change one of the dependencies.",
	},
	{
		MayRestartForever, "Container may restart indefinitely",
		"After the container is stopped, it reports an exit code other than 0, and `restartPolicy: OnFailure` restarts it.",
		"Remove `stopped-exit-code`, so that the container reports 0, or set `restartPolicy: Never`.",
	},
	{
		WaitsForLater, "Init container waits for a later container",
		"Init containers start one after the other, before all regular containers. An init container cannot wait for a container that starts after it.",
		"Change the order in `initContainers`, or remove the dependency.",
	},
	{
		InitNeverReady, "Init container is never ready",
		"Except for native sidecars, init containers exit before regular containers start, so they are never ready.",
		"Wait for `succeeded` or `exited`, or remove the dependency: Kubernetes starts regular containers after all init containers anyway.",
	},
	{
		NeverTrue, "Condition is never met",
		"The dependency requires that the target exits permanently, but the restart policy of the target restarts it after every exit that could meet the condition.",
		"Wait for `ready` or `started`, or change the restart policy.",
	},
	{
		InitStopDependency, "Stop dependency of an init container",
		"koordinator does not stop init containers and native sidecars, because the kubelet would restart them.",
		"Remove the stop dependency. Kubernetes stops native sidecars after all regular containers.",
	},
	{
		StopDependencyOnInit, "Stop dependency on an init container",
		"Native sidecars exit after all regular containers, and all other init containers exit before regular containers start. Neither exit can stop a regular container.",
		"Remove the dependency.",
	},
	{
		OnlyAtShutdown, "Stop dependency only affects the shutdown",
		"The container that the stop dependency names always restarts, so it never exits permanently. The dependency still defines the order in which containers stop when the pod is deleted.",
		"No action is needed if only the order at shutdown matters, for example in a Deployment.",
	},
	{
		StopNeverHolds, "Stop dependency is never met",
		"A container with `restartPolicy: OnFailure` restarts when it fails, so the condition `failed` is never met.",
		"Remove the dependency, or set `restartPolicy: Never`.",
	},
	{
		RestartedAfterStop, "Container restarts after each stop",
		"The stop dependency stops a container whose restart policy is `Always`, so the kubelet starts it again.",
		"Set another restart policy if the container must not start again.",
	},
	{
		NoReadinessProbe, "No readiness probe",
		"A dependency waits until the container is ready, but the container has no readiness or startup probe. Therefore, it counts as ready as soon as its command runs.",
		"Add a readiness probe, or write `=started` if this condition is sufficient.",
	},
	{
		EssentialInit, "Essential init container",
		"Only a regular container can be essential.",
		"Name a regular container.",
	},
	{
		EssentialAlways, "Essential container always restarts",
		"The label `essential-containers` names a container with the restart policy `Always`. This container never exits permanently, so the label has no effect.",
		"Remove the label, or set another restart policy.",
	},
	{
		EssentialStopsNot, "Container not stopped by the essential container",
		"When the essential container exits, koordinator does not stop containers that another system stops or adds. With the label `essential-containers`, it also does not stop containers whose command is unknown.",
		"If the container must stop, add a stop dependency to it.",
	},
	{
		TektonStepsWait, "Later Tekton steps wait",
		"Tekton starts each step when the entrypoint of the previous step has finished. If a step never starts, the later steps wait until the TaskRun times out.",
		"Add the same start dependencies to the later steps, or add a stop dependency on the failure of this step.",
	},
	{
		NotInRecords, "Not visible in records",
		"With `source: local`, or without a service account token, koordinator reads only the records that participating containers share. The records do not show whether this condition is met.",
		"Set the annotation `koordinator.io/source: pod`, or let the pod mount a service account token.",
	},
	{
		NoEffect, "Setting has no effect",
		"The setting belongs to a container that does not run under koordinator, because the container has no dependency and no other container depends on it.",
		"Remove the setting, or add a dependency.",
	},
	{
		NoContainerWrapped, "Setting for all containers has no effect",
		"The setting applies to all containers that run under koordinator, but the pod has no such container.",
		"Add a dependency to a container.",
	},
	{
		spec.OnItself, "Container depends on itself",
		"A container cannot wait for itself, and its own exit cannot stop it.",
		"Remove the dependency.",
	},
	{
		spec.NamedTwice, "Container listed twice",
		"A list of dependencies names the same container twice.",
		"Remove one of the two entries.",
	},
	{
		spec.NotRestarted, "Container does not restart",
		"A container with `restart-with` exits with code 75 so that the kubelet restarts it. Its `restartPolicy` or `restartPolicyRules` do not allow a restart after this exit code.",
		"Set `restartPolicy: OnFailure` or `Always`, change `restartPolicyRules`, or remove `restart-with`.",
	},
	{
		RestartWithInit, "restart-with and init containers",
		"Except for native sidecars, init containers exit before later containers start. Therefore, a later container cannot restart with an init container, and an init container cannot restart with a later container.",
		"Remove the container from `restart-with`.",
	},
	{
		RestartCycle, "Cycle of restarts",
		"Each of the containers restarts with the next one, and the last one restarts with the first. A single restart would cause endless restarts.",
		"Remove one of the entries.",
	},
	{
		RestartsCount, "Restarts count as failures of the Job",
		"A container that restarts with another container exits with code 75. A Job counts this exit toward its `backoffLimit`.",
		"Raise `backoffLimit`, or remove `restart-with`.",
	},
	{
		NoStopRequest, "Setting of a container that is added later",
		"The annotation has a setting for a container that another webhook adds later. koordinator cannot wrap such a container, but it can stop it with an HTTP request. This message appears if koordinator has no stop request for the container, or if the setting does not control how the container stops.",
		"Set `stop-http` for the container, follow the remedy in the message, or remove the other settings.",
	},
	{
		StopRequestDisabled, "Stop request not enabled",
		"The sidecar accepts its stop request only if the pod has the annotation that the message names, or if the request is enabled for the whole cluster.",
		"Set the annotation on the pod, unless the request is enabled for the whole cluster.",
	},
	{
		NoOthers, "No other containers",
		"`*` stands for every other regular container of the pod, but the pod has no other regular container.",
		"Remove `*`.",
	},
	{
		InvalidAllOthers, "Asterisk not allowed",
		"In `start-deps` and `stop-deps`, `*` stands for every other regular container. Other annotations do not accept it.",
		"Name the container. If the value applies to every container, write only the value.",
	},
	{
		StoppedByKubelet, "Known sidecar is native",
		"Another webhook has added the sidecar as a native sidecar (an init container with `restartPolicy: Always`). The kubelet stops native sidecars after the regular containers have exited, so koordinator ignores `stop-deps`, `stop-when` and `stop-http` of the sidecar.",
		"Remove the annotation if the sidecar is native in every pod of the workload. `start-deps` on the sidecar still apply.",
	},
}
