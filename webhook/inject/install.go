package inject

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// installUser is the user of the wrapper's image.
const installUser = 65532

// installerAt returns the index of the init container with koordinator's name, or
// -1 if there is none.
func installerAt(pod *corev1.Pod) int {
	return slices.IndexFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == InstallContainer })
}

// reservedName is the problem of a name that is reserved for koordinator.
const reservedName = "the name is reserved for koordinator"

// checkInstaller rejects other containers with the installer's name, and members
// that come before the installer. koordinator cannot move the installer, because a
// patch that does so would lose fields that the API types do not have.
func (in *input) checkInstaller(all members, n *messages.Notes) {
	for i, c := range in.pod.Spec.Containers {
		if c.Name == InstallContainer {
			n.Refuse(messages.Container(i, c.Name).Field("name"), messages.ReservedContainer, c.Name, reservedName, "Rename the container")
		}
	}
	at := installerAt(in.pod)
	if at < 0 {
		return
	}
	place := messages.InitContainer(at, InstallContainer)
	if in.byImage || !installs(in.pod.Spec.InitContainers[at]) {
		n.Refuse(place.Field("name"), messages.ReservedContainer, InstallContainer, reservedName, "Rename the init container")
		return
	}
	for _, m := range all {
		if m.init() && m.index < at {
			n.Refuse(place, messages.BeforeInstaller, m.Name, fmt.Sprintf("%q comes before this container and needs the program that it installs", m.Name),
				fmt.Sprintf("Move %s to the first position, or remove the settings of %q", InstallContainer, m.Name))
		}
	}
}

// install adds the init container that copies the wrapper, before all other init
// containers. If it is already there, install adds the containers that were
// wrapped since then to its args.
func (p *patch) install(in *input, all []*instructed, wrapped []string) {
	at, args := installerAt(in.pod), installArgs(all, wrapped)
	switch {
	case in.byImage:
	case at >= 0:
		p.installAlso(in.pod.Spec.InitContainers[at], at, args)
	case len(in.pod.Spec.InitContainers) == 0:
		p.set([]corev1.Container{in.installer(args)}, "spec", "initContainers")
	default:
		p.set(in.installer(args), "spec", "initContainers", "0")
	}
}

// installs reports whether an init container does the same as koordinator's
// installer, for any containers. Others may have changed the rest since it was
// added: admission plugins and webhooks rewrite images to mirrors, mount the
// token, and set limits. A copy of a pod may also contain the installer of
// another release, which kept no records.
func installs(c corev1.Container) bool {
	copies := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return sameMount(m, installMounts()[0]) })
	args := c.Args
	if len(args) > 0 && args[0] == spec.WithoutNetwork {
		args = args[1:]
	}
	if !copies || len(c.Command) > 0 || c.RestartPolicy != nil || len(args) == 0 || args[0] != spec.BinDir {
		return false
	}
	for i, arg := range args[1:] {
		if i == 0 && arg != spec.RecordDir || i > 0 && (!spec.IsName(arg) || arg == "") {
			return false
		}
	}
	return true
}

// installAlso updates the init container at that index, so that it creates places
// for the records of all wrapped containers.
func (p *patch) installAlso(have corev1.Container, at int, want []string) {
	missing := slices.DeleteFunc(installMounts(), func(our corev1.VolumeMount) bool {
		return slices.ContainsFunc(have.VolumeMounts, func(m corev1.VolumeMount) bool { return sameMount(m, our) })
	})
	if !slices.Equal(have.Args, want) {
		p.set(want, "spec", "initContainers", strconv.Itoa(at), "args")
	}
	push(p, len(have.VolumeMounts), missing, "spec", "initContainers", strconv.Itoa(at), "volumeMounts")
}

// installArgs returns the args with which the installer copies the programs that
// the pod may need, and creates places for the records of all wrapped containers.
func installArgs(all []*instructed, wrapped []string) []string {
	var args []string
	if !slices.ContainsFunc(all, func(m *instructed) bool { return m.spec.MayNeedNetwork() }) {
		args = append(args, spec.WithoutNetwork)
	}
	return append(append(args, spec.BinDir, spec.RecordDir), wrapped...)
}

func installMounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{{Name: BinVolume, MountPath: spec.BinDir}, {Name: RecordVolume, MountPath: spec.RecordDir}}
}

func (in *input) installer(args []string) corev1.Container {
	resources := in.settings.Resources
	if in.leavesResources() {
		resources = corev1.ResourceRequirements{}
	}
	return corev1.Container{
		Name:                     InstallContainer,
		Image:                    in.settings.Image,
		ImagePullPolicy:          in.settings.PullPolicy,
		Args:                     args,
		Resources:                resources,
		VolumeMounts:             installMounts(),
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext:          installSecurity(in.pod.Spec),
	}
}

// leavesResources reports whether the installer's resource requests would change
// the pod's class: the pod has the quality of service class BestEffort, or sets
// its resources at pod level.
func (in *input) leavesResources() bool {
	if own := in.pod.Spec.Resources; own != nil && len(own.Requests)+len(own.Limits) > 0 {
		return true
	}
	return !slices.ContainsFunc(in.containers, func(c container) bool {
		return classifies(c.Resources.Requests) || classifies(c.Resources.Limits)
	})
}

// classifies reports whether a list affects the pod's quality of service class.
// Only CPU and memory do, and only amounts above zero.
func classifies(list corev1.ResourceList) bool {
	return list.Cpu().Sign() > 0 || list.Memory().Sign() > 0
}

// needsSeccomp reports whether the installer needs a seccomp profile of its own:
// the pod has none for all containers, or a local one for its app, and each of its
// containers has one. Otherwise the installer has none, because some security
// context constraints of OpenShift reject every profile.
func needsSeccomp(of corev1.PodSpec) bool {
	if pod := of.SecurityContext; pod != nil && pod.SeccompProfile != nil {
		return pod.SeccompProfile.Type == corev1.SeccompProfileTypeLocalhost
	}
	lacksOne := func(c corev1.Container) bool {
		return c.Name != InstallContainer && (c.SecurityContext == nil || c.SecurityContext.SeccompProfile == nil)
	}
	return !slices.ContainsFunc(of.InitContainers, lacksOne) && !slices.ContainsFunc(of.Containers, lacksOne)
}

// installSecurity returns a security context that complies with Pod Security
// "restricted" if those of the other containers do. The image specifies a numeric
// user. The user is set only if the pod sets root for all containers, which would
// override the image's user. Otherwise it is not set, because some clusters assign
// users and reject others.
func installSecurity(of corev1.PodSpec) *corev1.SecurityContext {
	s := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
	}
	if needsSeccomp(of) {
		s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	if pod := of.SecurityContext; pod != nil && pod.RunAsUser != nil && *pod.RunAsUser == 0 {
		s.RunAsUser = new(int64(installUser))
	}
	return s
}
