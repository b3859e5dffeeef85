package messages

// imageEntries explain the codes of commands and images.
var imageEntries = []Entry{
	{
		CommandUnknown, "Unknown command and disabled image lookup",
		"koordinator needs the command of the container, but the pod does not contain it, and the installation does not look up the commands of images.",
		"Set `command` in the container, or the annotation `koordinator.io/command`. Alternatively, have an administrator add the image to the command index or enable image lookup.",
	},
	{
		TooManyDryLookups, "Too many images in a dry run",
		"koordinator looks up only a few images in a dry run. Dry runs leave no trace, so users could otherwise probe many addresses unnoticed.",
		"Create the pod without a dry run, or set `command`.",
	},
	{
		ImageName, "Invalid image name",
		"Container runtimes do not accept the name of the image.",
		"Correct the name.",
	},
	{
		RegistryForbidden, "Registry not allowed",
		"The settings of koordinator do not allow requests to this registry or to its address. Loopback, link-local, multicast and cloud metadata addresses are never allowed.",
		"Use another registry, set `command`, or have an administrator allow the registry.",
	},
	{
		Unauthorized, "No access to the image",
		"The registry rejects all credentials of the pod and of koordinator.",
		"Add a pull secret with access to `imagePullSecrets` of the pod or of its service account, or set `command`.",
	},
	{
		ImageNotFound, "Image not found",
		"The registry does not contain the image, or does not show it to users with these credentials.",
		"Correct the name, tag or digest, or push the image.",
	},
	{
		RateLimited, "Rate limit of the registry",
		"The registry rejects further requests for a while.",
		"Add a pull secret for an account with a higher limit, or have an administrator set a mirror.",
	},
	{
		Unreachable, "Registry unreachable",
		"koordinator could not reach the registry, for example because of a timeout, an untrusted certificate or an internal error of the registry. The log of the webhook contains the cause.",
		"Correct the name of the registry, try again, or set `command`.",
	},
	{
		InvalidAnswer, "Invalid response from the registry",
		"The response of the registry is invalid: for example, it is too large, or does not match the digest of the image.",
		"Push the image again, or contact the administrator of the registry.",
	},
	{
		UnsupportedImage, "Unsupported image",
		"The image does not support the platforms of the nodes, or koordinator does not support its format.",
		"Use an image in the OCI or Docker v2 format with a Linux platform.",
	},
	{
		ImageRunsNothing, "Image without a command",
		"Neither the pod nor the image specifies a program to run. The container runtime would also reject the container.",
		"Set `command` in the container.",
	},
	{
		CommandReplaced, "Annotation replaces the command",
		"The annotation `koordinator.io/command` contains the complete command, so `command` and `args` of the container are not used.",
		"Remove the annotation, or `command` from the container.",
	},
	{
		TagMayMove, "Tag may point to another image later",
		"koordinator looked up the command in the image to which the tag currently points. If the tag is moved, nodes pull another image, which may have another command.",
		"Refer to the image by its digest, or set `command`.",
	},
	{
		StaysUnwrapped, "Container is not wrapped",
		"Other containers depend on this container, whose command is unknown. It runs without koordinator, and its state comes from the pod's status.",
		"Set `command` if the container must run under koordinator. Otherwise, no action is needed.",
	},
	{
		LeftAlone, "Pod is not changed",
		"The lookup of a command failed, and the installation is configured to start such pods without koordinator.",
		"Set `command`, or create the pod again when the registry is reachable.",
	},
	{
		ImageStopSignal, "Stop signal of the image is not used",
		"The stop signal in the image is not a Linux signal.",
		"Set `lifecycle.stopSignal`, or the annotation `koordinator.io/stop-signal`.",
	},
}
