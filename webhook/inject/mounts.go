package inject

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkMounts rejects mounts, devices and files of others in the reserved
// directory.
func checkMounts(m *member, byImage bool, n *messages.Notes) {
	if slices.ContainsFunc(m.VolumeMounts, func(own corev1.VolumeMount) bool { return reserved(own.MountPath) }) {
		checkReservedMounts(m, byImage, n)
	}
	for _, d := range m.VolumeDevices {
		if reserved(d.DevicePath) {
			n.Refuse(m.place().Field("volumeDevices").Item(d.Name), messages.ReservedPath, d.DevicePath, inReserved("devicePath", d.DevicePath), "Choose another path")
		}
	}
	if at := cmp.Or(m.TerminationMessagePath, spec.Message); reserved(at) {
		n.Refuse(m.place().Field("terminationMessagePath"), messages.ReservedPath, at, inReserved("the file", at), "Choose another path")
	}
}

// inReserved returns the problem of a path in koordinator's directory.
func inReserved(what, at string) string {
	return fmt.Sprintf("%s %s lies in %s, which is reserved for koordinator", what, at, spec.Root)
}

func checkReservedMounts(m *member, byImage bool, n *messages.Notes) {
	missing := m.mounts(byImage)
	for _, own := range m.VolumeMounts {
		if !reserved(own.MountPath) {
			continue
		}
		i := slices.IndexFunc(missing, func(our corev1.VolumeMount) bool { return sameMount(own, our) })
		if i < 0 {
			n.Refuse(m.place().Field("volumeMounts").Item(own.Name), messages.ReservedPath, own.MountPath, inReserved("mountPath", own.MountPath), "Mount the volume elsewhere")
			continue
		}
		missing = slices.Delete(missing, i, i+1)
		if len(own.BindMountOptions) > 0 {
			n.Refuse(m.place().Field("volumeMounts").Item(own.Name), messages.BindMountOptions, strings.Join(own.BindMountOptions, ","),
				fmt.Sprintf("bindMountOptions %q at %s may prevent the execution of koordinator", own.BindMountOptions, own.MountPath), "Remove bindMountOptions")
		}
	}
}

// mounts adds koordinator's mounts that the container does not have yet.
func (p *patch) mounts(m *member, byImage bool) {
	missing := slices.DeleteFunc(m.mounts(byImage), func(our corev1.VolumeMount) bool {
		return slices.ContainsFunc(m.VolumeMounts, func(own corev1.VolumeMount) bool { return sameMount(own, our) })
	})
	push(p, len(m.VolumeMounts), missing, m.pointer("volumeMounts")...)
}

// reserved reports whether a path in a container is reserved for koordinator. The
// kubelet resolves a relative path from the root directory.
func reserved(at string) bool {
	at = path.Clean("/" + at)
	return at == spec.Root || strings.HasPrefix(at, spec.Root+"/")
}

// sameMount reports whether a mount is equivalent to one of koordinator's.
func sameMount(m, our corev1.VolumeMount) bool {
	return m.Name == our.Name && path.Clean("/"+m.MountPath) == our.MountPath && m.ReadOnly == our.ReadOnly &&
		m.SubPath == our.SubPath && m.SubPathExpr == ""
}

// mounts returns all koordinator mounts of a member.
func (m *member) mounts(byImage bool) []corev1.VolumeMount {
	all := mountsOf(m.Name, byImage)
	if !m.mountsToken() {
		return all[:len(all)-1]
	}
	return all
}

// mountsOf returns all mounts that koordinator may add to a container of that
// name, with the API access last. The container can write only to its record. The
// wrapper's image has the binary in /bin and a directory for each of the other
// mounts, so that no part of it has to be mounted separately: containerd before
// 2.2 mounts the whole image if a subPath is set.
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

// recordMount returns the mount to which a container of that name writes its
// record.
func recordMount(name string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: RecordVolume, MountPath: spec.RecordDir, SubPath: name}
}

// checkReserved rejects mounts of koordinator's volumes that differ from its own:
// write access would allow a container to change the state or the program of
// others. In the copy of a pod, a container may have koordinator's mounts without
// being wrapped.
func (in *input) checkReserved(all members, n *messages.Notes) {
	for _, c := range in.containers {
		for _, m := range c.VolumeMounts {
			switch {
			case !slices.Contains(ourVolumeNames, m.Name):
			case all.named(c.Name) != nil && reserved(m.MountPath): // reported with its other mounts
			case !slices.ContainsFunc(mountsOf(c.Name, in.byImage), func(our corev1.VolumeMount) bool { return sameMount(m, our) }):
				n.Refuse(c.place().Field("volumeMounts").Item(m.Name), messages.ReservedMount, m.MountPath,
					fmt.Sprintf("only koordinator may mount this volume, and it did not add the mount at %s", m.MountPath), "Mount another volume")
			}
		}
	}
}
