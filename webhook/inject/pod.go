package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/wrapper/spec"
)

// installUser is the user of the wrapper's image.
const installUser = 65532

// recordLimit bounds the records of a pod: a few KiB for each container, and
// room to replace them.
const recordLimit = 16 << 20

// installDirs is how many directories come before the containers' names in the
// init container's args.
const installDirs = 2

// fileMode is the API server's default mode of downward API and projected files.
const fileMode = 0o644

// volumes adds ours to the pod and refuses others of their names.
func (j *job) volumes() {
	missing := ourVolumes()
	for _, v := range j.pod.Spec.Volumes {
		i := slices.IndexFunc(missing, func(our corev1.Volume) bool { return our.Name == v.Name })
		if i < 0 {
			continue
		}
		if !serves(v, missing[i]) {
			j.refuse(fmt.Sprintf("volume %q", v.Name), "the name is reserved for koordinator: give this volume another one")
		}
		missing = slices.Delete(missing, i, i+1)
	}
	if !slices.ContainsFunc(j.members, (*member).mountsToken) {
		missing = slices.DeleteFunc(missing, func(our corev1.Volume) bool { return our.Name == APIVolume })
	}
	push(&j.patch, len(j.pod.Spec.Volumes), missing, "spec", "volumes")
}

// serves reports whether a volume does what ours does. Others may have changed
// the rest since we added it: policies set size limits, the API server defaults.
func serves(v, our corev1.Volume) bool {
	switch {
	case our.EmptyDir != nil:
		return v.EmptyDir != nil && v.EmptyDir.Medium == our.EmptyDir.Medium
	case our.Projected != nil:
		return v.Projected != nil && equality.Semantic.DeepEqual(v.Projected.Sources, our.Projected.Sources)
	}
	return v.DownwardAPI != nil && equality.Semantic.DeepEqual(v.DownwardAPI.Items, our.DownwardAPI.Items)
}

// ourVolumes are written out in full, as the API server would fill them in, so
// that they are known again.
func ourVolumes() []corev1.Volume {
	return []corev1.Volume{
		{Name: BinVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: PodinfoVolume, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items:       []corev1.DownwardAPIVolumeFile{podField("name"), podField("namespace")},
			DefaultMode: new(int32(fileMode)),
		}}},
		{Name: RecordVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium:    corev1.StorageMediumMemory,
			SizeLimit: resource.NewQuantity(recordLimit, resource.BinarySI),
		}}},
		apiVolume(),
	}
}

// podField is a file with a field of the pod's metadata.
func podField(name string) corev1.DownwardAPIVolumeFile {
	return corev1.DownwardAPIVolumeFile{
		Path:     name,
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata." + name},
	}
}

// install adds the init container that copies the wrapper, before all others,
// or names it the containers that were wrapped since. It comes last in the
// patch, as it moves the other init containers.
func (j *job) install() {
	for _, c := range j.pod.Spec.Containers {
		if c.Name == InstallContainer {
			j.refuse(fmt.Sprintf("container %q", c.Name), "the name is reserved for koordinator: give this container another one")
		}
	}
	want := j.installer()
	for i, c := range j.pod.Spec.InitContainers {
		switch {
		case c.Name != InstallContainer:
			continue
		case !installs(c, want):
			j.refuse(fmt.Sprintf("init container %q", c.Name), "the name is reserved for koordinator: give this init container another one")
		case !slices.Equal(c.Args, want.Args):
			j.patch.set(want.Args, "spec", "initContainers", strconv.Itoa(i), "args")
		}
		return
	}
	if len(j.pod.Spec.InitContainers) == 0 {
		j.patch.set([]corev1.Container{want}, "spec", "initContainers")
		return
	}
	j.patch.set(want, "spec", "initContainers", "0")
}

// installs reports whether an init container does what ours does, for whatever
// containers. Others may have changed the rest since we added it: admission
// plugins and webhooks rewrite images to mirrors, mount the token, set limits.
func installs(c, want corev1.Container) bool {
	for _, m := range want.VolumeMounts {
		if !slices.ContainsFunc(c.VolumeMounts, func(have corev1.VolumeMount) bool { return equality.Semantic.DeepEqual(have, m) }) {
			return false
		}
	}
	for i, arg := range c.Args {
		if i >= installDirs && (!spec.IsName(arg) || arg == "") {
			return false
		}
	}
	return len(c.Args) > installDirs && slices.Equal(c.Args[:installDirs], want.Args[:installDirs]) &&
		len(c.Command) == 0 && c.RestartPolicy == nil
}

func (j *job) installer() corev1.Container {
	resources := j.settings.Resources
	if j.leavesResources() {
		resources = corev1.ResourceRequirements{}
	}
	return corev1.Container{
		Name:                     InstallContainer,
		Image:                    j.settings.Image,
		ImagePullPolicy:          j.settings.PullPolicy,
		Args:                     append([]string{spec.BinDir, spec.RecordDir}, j.result.Wrapped...),
		Resources:                resources,
		VolumeMounts:             []corev1.VolumeMount{{Name: BinVolume, MountPath: spec.BinDir}, {Name: RecordVolume, MountPath: spec.RecordDir}},
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext:          installSecurity(j.pod.Spec.SecurityContext),
	}
}

// leavesResources reports whether a request of ours would change what the pod
// is: one of quality of service class BestEffort, or one whose resources are
// given for the pod as a whole.
func (j *job) leavesResources() bool {
	if r := j.pod.Spec.Resources; r != nil && len(r.Requests)+len(r.Limits) > 0 {
		return true
	}
	return !slices.ContainsFunc(j.containers, func(c container) bool {
		return len(c.Resources.Requests)+len(c.Resources.Limits) > 0
	})
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

// marks label the pod for the reconciler and people. Nothing relies on them
// when a pod comes in; the grant relies on the label, in enabled namespaces.
func (j *job) marks() {
	mark := Status{Version: j.settings.Version, Wrapped: j.result.Wrapped}
	if j.allLocal() {
		mark.Source = spec.SourceLocal
	}
	j.patch.put(j.pod.Labels, InjectedLabel, "true", "metadata", "labels")
	j.status(mark)
}

// status writes the status annotation.
func (j *job) status(s Status) {
	text, err := json.Marshal(s)
	if err != nil {
		panic("encode strings: " + err.Error()) // cannot happen
	}
	j.patch.put(j.pod.Annotations, StatusAnnotation, string(text), "metadata", "annotations")
}
