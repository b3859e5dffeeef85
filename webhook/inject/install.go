package inject

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// installUser is the user of the wrapper's image.
const installUser = 65532

// installerAt is where the pod has an init container of our name, -1 for nowhere.
func installerAt(pod *corev1.Pod) int {
	return slices.IndexFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == InstallContainer })
}

// checkInstaller refuses other containers of our name, and members that come before
// ours. It cannot be moved: an operation that does it knows not all of it.
func (in *input) checkInstaller(all members, n *Notes) {
	for _, c := range in.pod.Spec.Containers {
		if c.Name == InstallContainer {
			n.refuse(fmt.Sprintf("container %q", c.Name), "the name is reserved for koordinator: give this container another one")
		}
	}
	at := installerAt(in.pod)
	if at < 0 {
		return
	}
	place := fmt.Sprintf("init container %q", InstallContainer)
	if in.byImage || !installs(in.pod.Spec.InitContainers[at]) {
		n.refuse(place, "the name is reserved for koordinator: give this init container another one")
		return
	}
	for _, m := range all {
		if m.init() && m.index < at {
			n.refuse(place, fmt.Sprintf("%q comes before it and needs what it installs: put %s first, or ask nothing of %q", m.Name, InstallContainer, m.Name))
		}
	}
}

// install adds the init container that copies the wrapper, before all others,
// or names it the containers that were wrapped since.
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

// installs reports whether an init container does what ours does, for whatever
// containers. Others may have changed the rest since we added it: admission
// plugins and webhooks rewrite images to mirrors, mount the token, set limits;
// and a copy of a pod may have ours of another release, which kept no records.
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

// installAlso has the init container at that index make places for the records
// of all wrapped containers.
func (p *patch) installAlso(have corev1.Container, at int, want []string) {
	missing := slices.DeleteFunc(installMounts(), func(our corev1.VolumeMount) bool {
		return slices.ContainsFunc(have.VolumeMounts, func(m corev1.VolumeMount) bool { return sameMount(m, our) })
	})
	if !slices.Equal(have.Args, want) {
		p.set(want, "spec", "initContainers", strconv.Itoa(at), "args")
	}
	push(p, len(have.VolumeMounts), missing, "spec", "initContainers", strconv.Itoa(at), "volumeMounts")
}

// installArgs have the programs copied that the pod may need, and places made for
// the records of all wrapped containers.
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
		SecurityContext:          installSecurity(in.pod.Spec.SecurityContext),
	}
}

// leavesResources reports whether a request of ours would change what the pod
// is: one of quality of service class BestEffort, or one whose resources are
// given for the pod as a whole.
func (in *input) leavesResources() bool {
	if own := in.pod.Spec.Resources; own != nil && len(own.Requests)+len(own.Limits) > 0 {
		return true
	}
	return !slices.ContainsFunc(in.containers, func(c container) bool {
		return classifies(c.Resources.Requests) || classifies(c.Resources.Limits)
	})
}

// classifies reports whether a list has a part in the pod's quality of service
// class: CPU and memory alone do, and of those what is more than nothing.
func classifies(list corev1.ResourceList) bool {
	return list.Cpu().Sign() > 0 || list.Memory().Sign() > 0
}

// installSecurity is what Pod Security "restricted" asks for. The image names
// its user by number; a pod that says root for all containers overrides that,
// and only then do we name the user too, since some clusters assign users and
// refuse others.
func installSecurity(pod *corev1.PodSecurityContext) *corev1.SecurityContext {
	s := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if pod != nil && pod.RunAsUser != nil && *pod.RunAsUser == 0 {
		s.RunAsUser = new(int64(installUser))
	}
	return s
}
