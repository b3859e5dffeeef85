package messages

import "koordinator.io/koordinator/wrapper/spec"

// valueEntries explain the codes of annotations and values.
var valueEntries = []Entry{
	{
		UnknownAnnotation, "Unknown annotation",
		"The pod has an annotation that begins with `koordinator.io/` and is not one of koordinator's annotations. It is rejected because a misspelled annotation would have no effect.",
		"Correct the name, or remove the annotation.",
	},
	{
		NotYAML, "Invalid YAML",
		"The value of the annotation is not valid YAML.",
		"Correct the syntax at the line that the message names. Inside `[ ]` and `{ }`, enclose names with a `?` in quotes.",
	},
	{
		Empty, "Empty value",
		"The annotation, or the value for a container in it, is empty.",
		"Set a value, or remove the annotation or the container.",
	},
	{
		WrongForm, "Wrong form",
		"The value is not of the type that the annotation or field expects, for example a word instead of a map or a list. Most annotations map container names to values. Some also accept one value for all containers.",
		"Write the value in the form that the message shows.",
	},
	{
		DuplicateKey, "Duplicate key",
		"The same map or list contains a container, a field or a file twice, so one of the two values would be lost.",
		"Remove one of them.",
	},
	{
		GivenTwice, "Setting specified twice",
		"A setting of a container is specified in two annotations, under two names, or both for this container and for all containers.",
		"Remove one of them.",
	},
	{
		UnknownField, "Unknown field",
		"The annotation `koordinator.io/spec`, or a dependency that is written as an object, has an unknown field. Fields that only the webhook may set are also rejected.",
		"Correct the name, or remove the field.",
	},
	{
		NotTrueOrFalse, "Value other than true or false",
		"The annotations `koordinator.io/inject` and `koordinator.io/gate` accept only `true` and `false`.",
		"To exclude the pod, or the container's probes and hooks, from processing, set `\"false\"`. Otherwise, remove the annotation.",
	},
	{
		YAMLAlias, "YAML alias",
		"koordinator does not support YAML anchors and aliases, because a few of them can expand to a very large value.",
		"Replace the alias with the value.",
	},
	{
		SeveralDocuments, "Several YAML documents",
		"The value has more than one YAML document, separated by `---`.",
		"Keep one document.",
	},
	{
		AnnotationsTooLong, "Annotations too long",
		"The total size of the koordinator annotations of the pod exceeds 64 KiB.",
		"Shorten the annotations.",
	},
	{
		InvalidCommand, "Invalid command",
		"In the annotation `koordinator.io/command`, the command of a container must be a list of strings: the program and its arguments.",
		"Write a list, for example `{\"main\": [\"/app\", \"--flag\"]}`.",
	},
	{
		spec.InvalidValue, "Invalid value of a field",
		"A value in the spec of a container is not valid for its field.",
		"Correct the value as the message describes.",
	},
	{
		spec.InvalidDependency, "Invalid dependency",
		"A dependency contains no name, or a name that is not valid for a container.",
		"Write `NAME` or `NAME=CONDITION`, with the name of a container of this pod.",
	},
	{
		spec.UnknownCondition, "Unknown condition",
		"Start dependencies support the conditions `started`, `ready`, `exited` and `succeeded`. Stop dependencies support `exited`, `succeeded` and `failed`.",
		"Use one of the conditions that the message lists.",
	},
	{
		spec.OptionalStop, "Optional stop dependency",
		"Only start dependencies can be optional. A stop dependency needs no `?`, because it has no effect until its condition is met.",
		"Remove the `?`.",
	},
	{
		spec.InvalidDuration, "Invalid duration",
		"The value is not a duration with a unit, or it is negative.",
		"Write a number with a unit, for example `10s`, `500ms` or `1m30s`.",
	},
	{
		spec.NoStopTimeout, "Stop timeout of zero",
		"With a stop timeout of 0 s, the command would be killed before it can stop.",
		"Set 1 s or more.",
	},
	{
		spec.UnknownWord, "Invalid value",
		"The value is not one of the words that the setting accepts.",
		"Use one of the values that the message lists.",
	},
	{
		spec.InvalidSignal, "Invalid signal",
		"The value is not a Linux signal, or it is a signal that no command can handle.",
		"Use a name (`SIGTERM`, `TERM`, `SIGRTMIN+3`) or a number from 1 to 64. koordinator sends SIGKILL automatically after `stop-timeout`.",
	},
	{
		spec.InvalidExitCode, "Invalid exit code",
		"The value is neither a number from 0 to 255 nor `child`, which stands for the command's own exit code.",
		"Correct the value.",
	},
	{
		spec.InvalidRequest, "Invalid HTTP request",
		"The value does not consist of a method (GET, POST or PUT) and a URL.",
		"Write the complete request, for example `POST http://127.0.0.1:15020/quitquitquit`.",
	},
	{
		spec.UnknownVersion, "Unknown version of the spec",
		"The wrapper received a spec with a version that it does not support. Usually, the webhook and the wrapper's image come from different releases.",
		"Use a webhook and a wrapper image of the same release. In a spec that you write yourself, omit `version`.",
	},
	{
		spec.InvalidPath, "Invalid path",
		"The value is not the absolute path of a file.",
		"Begin the path with `/` and end it with the name of a file.",
	},
	{
		spec.InvalidEndpoint, "Invalid endpoint",
		"A start dependency with `://` is an endpoint. This endpoint is incomplete, has an unknown scheme, or contains a part that is not supported.",
		"Write `tcp://HOST:PORT`, `http://…`, `https://…`, `grpc://HOST:PORT`, `file:///PATH` or `dns://NAME`.",
	},
}
