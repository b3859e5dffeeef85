package inject

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// checkMounts refuses what others have under the reserved directory.
func checkMounts(m *member, byImage bool, n *Notes) {
	if slices.ContainsFunc(m.VolumeMounts, func(own corev1.VolumeMount) bool { return reserved(own.MountPath) }) {
		checkReservedMounts(m, byImage, n)
	}
	for _, d := range m.VolumeDevices {
		if reserved(d.DevicePath) {
			n.refuse(m.place(), fmt.Sprintf("volumeDevice %q at %s: the directory %s is reserved for koordinator: choose another path", d.Name, d.DevicePath, spec.Root))
		}
	}
	if at := cmp.Or(m.TerminationMessagePath, spec.Message); reserved(at) {
		n.refuse(m.place(), fmt.Sprintf("terminationMessagePath %s: the directory %s is reserved for koordinator, and the kubelet would mount a file there: choose another path", at, spec.Root))
	}
}

func checkReservedMounts(m *member, byImage bool, n *Notes) {
	missing := m.mounts(byImage)
	for _, own := range m.VolumeMounts {
		if !reserved(own.MountPath) {
			continue
		}
		i := slices.IndexFunc(missing, func(our corev1.VolumeMount) bool { return sameMount(own, our) })
		if i < 0 {
			n.refuse(m.place(), fmt.Sprintf("volumeMount %q at %s: the directory %s is reserved for koordinator: mount it elsewhere", own.Name, own.MountPath, spec.Root))
			continue
		}
		missing = slices.Delete(missing, i, i+1)
		if len(own.BindMountOptions) > 0 {
			n.refuse(m.place(), fmt.Sprintf("volumeMount %q at %s: bindMountOptions %q: koordinator has to be executed from its mounts as they are: remove them", own.Name, own.MountPath, own.BindMountOptions))
		}
	}
}

// mounts adds those of ours that the container does not have.
func (p *patch) mounts(m *member, byImage bool) {
	missing := slices.DeleteFunc(m.mounts(byImage), func(our corev1.VolumeMount) bool {
		return slices.ContainsFunc(m.VolumeMounts, func(own corev1.VolumeMount) bool { return sameMount(own, our) })
	})
	push(p, len(m.VolumeMounts), missing, m.pointer("volumeMounts")...)
}

// reserved reports whether a path in a container is ours. To the kubelet a
// relative one begins at the root.
func reserved(at string) bool {
	at = path.Clean("/" + at)
	return at == spec.Root || strings.HasPrefix(at, spec.Root+"/")
}

// sameMount reports whether a mount does what ours does.
func sameMount(m, our corev1.VolumeMount) bool {
	return m.Name == our.Name && path.Clean("/"+m.MountPath) == our.MountPath && m.ReadOnly == our.ReadOnly &&
		m.SubPath == our.SubPath && m.SubPathExpr == ""
}

// mounts are all mounts that a member has of us.
func (m *member) mounts(byImage bool) []corev1.VolumeMount {
	all := mountsOf(m.Name, byImage)
	if !m.mountsToken() {
		return all[:len(all)-1]
	}
	return all
}

// mountsOf are all mounts that a container of that name may have of us, the API
// access last. Its record is the only thing it may write. The wrapper's image has the binary in /bin and a place
// for each of the other mounts, so that no part of it has to be mounted alone:
// containerd before 2.2 mounts all of an image where a subPath is asked for.
func mountsOf(name string, byImage bool) []corev1.VolumeMount {
	bin := corev1.VolumeMount{Name: BinVolume, MountPath: spec.BinDir, ReadOnly: true}
	if byImage {
		bin.MountPath = spec.Root
	}
	return []corev1.VolumeMount{
		bin,
		{Name: PodinfoVolume, MountPath: spec.PodinfoDir, ReadOnly: true},
		recordMount(name),
		{Name: RecordVolume, MountPath: spec.PeersDir, ReadOnly: true},
		{Name: APIVolume, MountPath: spec.OwnAPIAccess, ReadOnly: true},
	}
}

// recordMount is where a container of that name writes its record.
func recordMount(name string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: RecordVolume, MountPath: spec.RecordDir, SubPath: name}
}

// checkReserved refuses mounts of our volumes that are not as ours: a container that
// could write them could change what others are told and run. A container may
// have ours without being wrapped, in the copy of a pod.
func (in *input) checkReserved(all members, n *Notes) {
	for _, c := range in.containers {
		for _, m := range c.VolumeMounts {
			switch {
			case !slices.Contains(ourVolumeNames, m.Name):
			case all.named(c.Name) != nil && reserved(m.MountPath): // said with its other mounts
			case !slices.ContainsFunc(mountsOf(c.Name, in.byImage), func(our corev1.VolumeMount) bool { return sameMount(m, our) }):
				n.refuse(c.place(), fmt.Sprintf("volumeMount %q at %s: the volume is koordinator's own: mount another", m.Name, m.MountPath))
			}
		}
	}
}
