package inject

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/wrapper/spec"
)

// recordLimit bounds the records of a pod: a few KiB for each container, and
// room to replace them.
const recordLimit = 16 << 20

// fileMode is the API server's default mode of downward API and projected files.
const fileMode = 0o644

// byImage reports whether the wrapper's image is a volume of the pod, which is
// as it was in an earlier call. Nobody clears the records of an earlier sandbox
// then, and in the node's network nothing tells sandboxes apart: there it is
// the init container's task.
func (j *job) byImage() bool {
	if j.pod.Spec.HostNetwork {
		return false
	}
	for _, v := range j.pod.Spec.Volumes {
		if v.Name == BinVolume {
			return v.Image != nil
		}
	}
	return j.settings.Delivery == ByImageVolume
}

// volumes adds ours to the pod and refuses others of their names.
func (j *job) volumes() {
	missing := j.ourVolumes()
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
	case our.Image != nil: // of a mirror, or of another release
		return v.Image != nil && v.Image.Reference != ""
	case our.EmptyDir != nil:
		return v.EmptyDir != nil && v.EmptyDir.Medium == our.EmptyDir.Medium
	case our.Projected != nil:
		return v.Projected != nil && equality.Semantic.DeepEqual(v.Projected.Sources, our.Projected.Sources)
	}
	return v.DownwardAPI != nil && equality.Semantic.DeepEqual(v.DownwardAPI.Items, our.DownwardAPI.Items)
}

// ourVolumes are written out in full, as the API server would fill them in, so
// that they are known again.
func (j *job) ourVolumes() []corev1.Volume {
	bin := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	if j.byImage() {
		bin = corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: j.settings.Image, PullPolicy: j.settings.PullPolicy}}
	}
	return []corev1.Volume{
		{Name: BinVolume, VolumeSource: bin},
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

// marks label the pod for the reconciler and people. Nothing relies on them
// when a pod comes in; the grant relies on the label, in enabled namespaces.
func (j *job) marks() {
	mark := Status{Version: j.settings.Version, Wrapped: j.result.Wrapped, LookedUp: j.lookedUp()}
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
