package inject

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/webhook/messages"
)

// recordLimit bounds the records of a pod: a few KiB for each container, and
// space to replace them.
const recordLimit = 16 << 20

// fileMode is the API server's default mode of downward API and projected files.
const fileMode = 0o644

// ourVolumeNames are the names of the volumes that only koordinator adds.
var ourVolumeNames = []string{BinVolume, PodinfoVolume, RecordVolume, APIVolume}

// byImage reports whether the wrapper's image is a volume of the pod. A volume of
// an earlier call decides. Without the init container, nothing clears the records
// of an earlier sandbox. With the host network, sandboxes cannot be
// distinguished, so the init container is required there.
func byImage(pod *corev1.Pod, settings Settings) bool {
	if pod.Spec.HostNetwork {
		return false
	}
	for _, v := range pod.Spec.Volumes {
		if v.Name == BinVolume {
			return v.Image != nil
		}
	}
	return settings.Delivery == ByImageVolume || settings.Delivery == ByNodes && settings.ImageVolumes()
}

// checkVolumes rejects other volumes with koordinator's names.
func (in *input) checkVolumes(n *messages.Notes) {
	for i, v := range in.pod.Spec.Volumes {
		isSame := func(other corev1.Volume) bool { return other.Name == v.Name }
		if !slices.Contains(ourVolumeNames, v.Name) || slices.ContainsFunc(in.pod.Spec.Volumes[:i], isSame) {
			continue // the API server rejects the second volume of a name
		}
		if !serves(v, in.ourVolume(v.Name)) {
			n.Refuse(messages.Volume(v.Name), messages.ReservedVolume, v.Name, reservedName, "Rename the volume")
		}
	}
}

// volumes adds koordinator's volumes that the pod does not have yet.
func (p *patch) volumes(in *input, all members) {
	missing := make([]corev1.Volume, 0, len(ourVolumeNames))
	for _, name := range ourVolumeNames {
		isThere := slices.ContainsFunc(in.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
		if !isThere && (name != APIVolume || slices.ContainsFunc(all, (*member).mountsToken)) {
			missing = append(missing, in.ourVolume(name))
		}
	}
	push(p, len(in.pod.Spec.Volumes), missing, "spec", "volumes")
}

// serves reports whether a volume is equivalent to one of koordinator's. Others
// may have changed the rest since it was added: policies set size limits, and the
// API server sets defaults.
func serves(v, our corev1.Volume) bool {
	switch {
	case our.Image != nil: // of a mirror, or of another release
		return v.Image != nil && v.Image.Reference != ""
	case our.EmptyDir != nil:
		return v.EmptyDir != nil && v.EmptyDir.Medium == our.EmptyDir.Medium
	case our.Projected != nil:
		return v.Projected != nil && equality.Semantic.DeepEqual(v.Projected.Sources, our.Projected.Sources)
	}
	return v.DownwardAPI != nil && equality.Semantic.DeepEqual(v.DownwardAPI.Items, our.DownwardAPI.Items)
}

// ourVolume returns one of koordinator's volumes with all defaults that the API
// server would set, so that it can be recognized later.
func (in *input) ourVolume(name string) corev1.Volume {
	v := corev1.Volume{Name: name}
	switch {
	case name == BinVolume && in.byImage:
		v.Image = &corev1.ImageVolumeSource{Reference: in.settings.Image, PullPolicy: in.settings.PullPolicy}
	case name == BinVolume:
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	case name == PodinfoVolume:
		v.DownwardAPI = &corev1.DownwardAPIVolumeSource{
			Items:       []corev1.DownwardAPIVolumeFile{podField("name"), podField("namespace")},
			DefaultMode: new(int32(fileMode)),
		}
	case name == RecordVolume:
		v.EmptyDir = &corev1.EmptyDirVolumeSource{
			Medium:    corev1.StorageMediumMemory,
			SizeLimit: resource.NewQuantity(recordLimit, resource.BinarySI),
		}
	case name == APIVolume:
		v.Projected = apiAccess()
	}
	return v
}

// podField returns a file that contains a field of the pod's metadata.
func podField(name string) corev1.DownwardAPIVolumeFile {
	return corev1.DownwardAPIVolumeFile{
		Path:     name,
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata." + name},
	}
}
