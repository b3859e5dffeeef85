package inject

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/wrapper/spec"
)

// ourEnv are the variables that wrapped containers have from nobody but us.
var ourEnv = []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace, spec.EnvPodIP}

// wrap puts koordinator in front of a container's command. Each part that is
// already as it should be is left alone.
func (j *job) wrap(m *member) {
	j.command(m)
	j.env(m)
	j.mounts(m)
	j.gate(m)
	j.hooks(m)
}

// env hands over the spec and the pod's address.
func (j *job) env(m *member) {
	missing := []corev1.EnvVar{
		{Name: spec.EnvPodIP, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}}},
		{Name: spec.Env, Value: escape(m.text)},
	}
	for i, e := range m.Env {
		if !slices.Contains(ourEnv, e.Name) {
			continue
		}
		k := slices.IndexFunc(missing, func(our corev1.EnvVar) bool { return our.Name == e.Name })
		switch {
		case k < 0, e.Name == spec.EnvPodIP && !equality.Semantic.DeepEqual(e, missing[k]):
			j.refuseEnv(m, e.Name)
			continue
		case e.Name == spec.Env && !equality.Semantic.DeepEqual(e, missing[k]):
			if !follows(m.before, m.spec) {
				j.refuseEnv(m, e.Name)
			}
			j.patch.set(missing[k].Value, m.pointer("env", strconv.Itoa(i), "value")...)
		}
		missing = slices.Delete(missing, k, k+1)
	}
	push(&j.patch, len(m.Env), missing, m.pointer("env")...)
}

func (j *job) refuseEnv(m *member, name string) {
	j.refuse(m.place(), fmt.Sprintf("env %s: koordinator knows it from the annotations and the pod: remove it", name))
}

// escape doubles every $, since the kubelet expands $(VAR) in values and makes
// $ of $$.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// written is the spec that an earlier call gave the container, none where
// Container is "".
func written(c container) spec.Spec {
	for _, e := range c.Env {
		if e.Name != spec.Env || e.ValueFrom != nil {
			continue
		}
		if s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$")); err == nil && s.Container == c.Name {
			return s
		}
	}
	return spec.Spec{}
}

// follows reports whether a spec differs from what an earlier call wrote only
// by what containers that were added since can change.
func follows(before, now spec.Spec) bool {
	before.Wrapped, before.HoldFor, before.Mode = now.Wrapped, now.HoldFor, now.Mode
	before.ReadyProbes, before.PreStop = now.ReadyProbes, now.PreStop
	return before.Encode() == now.Encode()
}

// mounts adds ours and refuses others' under the reserved directory.
func (j *job) mounts(m *member) {
	missing := mountsOf(m)
	for _, own := range m.VolumeMounts {
		at := path.Clean(own.MountPath)
		if at != spec.Root && !strings.HasPrefix(at, spec.Root+"/") {
			continue
		}
		i := slices.IndexFunc(missing, func(our corev1.VolumeMount) bool {
			return our.Name == own.Name && our.MountPath == at && our.ReadOnly == own.ReadOnly && our.SubPath == own.SubPath && own.SubPathExpr == ""
		})
		if i < 0 {
			j.refuse(m.place(), fmt.Sprintf("volumeMount %q at %s: the directory %s is reserved for koordinator: mount it elsewhere", own.Name, own.MountPath, spec.Root))
			continue
		}
		missing = slices.Delete(missing, i, i+1)
	}
	push(&j.patch, len(m.VolumeMounts), missing, m.pointer("volumeMounts")...)
}

// mountsOf are the mounts of a wrapped container. Its record is the only
// thing it may write.
func mountsOf(m *member) []corev1.VolumeMount {
	mounts := []corev1.VolumeMount{
		{Name: BinVolume, MountPath: spec.BinDir, ReadOnly: true},
		{Name: PodinfoVolume, MountPath: spec.PodinfoDir, ReadOnly: true},
		{Name: RecordVolume, MountPath: spec.RecordDir, SubPath: m.Name},
		{Name: RecordVolume, MountPath: spec.PeersDir, ReadOnly: true},
	}
	if m.mountsToken() {
		mounts = append(mounts, corev1.VolumeMount{Name: APIVolume, MountPath: spec.OwnAPIAccess, ReadOnly: true})
	}
	return mounts
}
