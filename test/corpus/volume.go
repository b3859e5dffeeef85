package corpus

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// restrictedSources lists the kinds of volumes that Pod Security "restricted" allows.
var restrictedSources = []corev1.VolumeSource{
	{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi"))}},
	{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, DefaultMode: new(int32(0o440)), Optional: new(true),
		Items: []corev1.KeyToPath{{Key: "a", Path: "b/c", Mode: new(int32(0o400))}},
	}},
	{Secret: &corev1.SecretVolumeSource{SecretName: "db"}},
	{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
	{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "vault", Path: "token", ExpirationSeconds: new(int64(600))}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}},
	}}},
	{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
	{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io", ReadOnly: new(true), VolumeAttributes: map[string]string{"secretProviderClass": "shop"}}},
	{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: amounts("storage", "1Gi")},
	}}}},
	{Image: &corev1.ImageVolumeSource{Reference: "registry.example.com/shop/model:3", PullPolicy: corev1.PullIfNotPresent}},
}

// otherSources lists all other kinds of volumes in the API, including deprecated ones.
var otherSources = []corev1.VolumeSource{
	{HostPath: &corev1.HostPathVolumeSource{Path: "/var/log", Type: new(corev1.HostPathDirectory)}},
	{NFS: &corev1.NFSVolumeSource{Server: "nfs.example.com", Path: "/share"}},
	{ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "10.0.0.5:3260", IQN: "iqn.2001-04.com.example:storage.disk1", Lun: 1, FSType: "ext4"}},
	{FC: &corev1.FCVolumeSource{TargetWWNs: []string{"50060e801049cfd1"}, Lun: new(int32(0))}},
	{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "disk-1"}},
	{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}},
	{AzureDisk: &corev1.AzureDiskVolumeSource{DiskName: "disk", DataDiskURI: "https://blob.example.com/disk.vhd"}},
	{AzureFile: &corev1.AzureFileVolumeSource{SecretName: "azure", ShareName: "share"}},
	{Cinder: &corev1.CinderVolumeSource{VolumeID: "vol-2"}},
	{CephFS: &corev1.CephFSVolumeSource{Monitors: []string{"10.0.0.6:6789"}}},
	{RBD: &corev1.RBDVolumeSource{CephMonitors: []string{"10.0.0.6:6789"}, RBDImage: "image"}},
	{Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "gluster", Path: "vol"}},
	{Flocker: &corev1.FlockerVolumeSource{DatasetName: "set"}},
	{FlexVolume: &corev1.FlexVolumeSource{Driver: "example.com/flex", Options: map[string]string{"a/b": "c"}}},
	{GitRepo: &corev1.GitRepoVolumeSource{Repository: "https://git.example.com/shop.git"}},
	{VsphereVolume: &corev1.VsphereVirtualDiskVolumeSource{VolumePath: "[store] disk.vmdk"}},
	{PhotonPersistentDisk: &corev1.PhotonPersistentDiskVolumeSource{PdID: "pd"}},
	{PortworxVolume: &corev1.PortworxVolumeSource{VolumeID: "px"}},
	{Quobyte: &corev1.QuobyteVolumeSource{Registry: "quobyte.example.com:7861", Volume: "vol"}},
	{ScaleIO: &corev1.ScaleIOVolumeSource{Gateway: "https://scale.example.com", System: "sys", SecretRef: &corev1.LocalObjectReference{Name: "scale"}, VolumeName: "vol"}},
	{StorageOS: &corev1.StorageOSVolumeSource{VolumeName: "vol"}},
}

// mountVolumes mounts up to four volumes into some containers. It takes the kinds in turn.
func (m *maker) mountVolumes() {
	for i := range m.IntN(4) {
		m.mountVolume(i, restrictedSources[(m.number+i*3)%len(restrictedSources)])
	}
	if !m.restricted {
		turn := m.number/restrictedEvery*(restrictedEvery-1) + m.number%restrictedEvery
		m.mountVolume(8, otherSources[turn%len(otherSources)])
	}
	if m.chance(15) && m.pod.Spec.HostUsers == nil {
		m.addVolume("block", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "block"}})
		c := m.containers()[0]
		c.VolumeDevices = []corev1.VolumeDevice{{Name: "block", DevicePath: "/dev/xvda"}}
	}
}

func (m *maker) addVolume(name string, source corev1.VolumeSource) {
	m.pod.Spec.Volumes = append(m.pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: *source.DeepCopy()})
}

// mountVolume mounts a volume in a random way that its kind allows.
func (m *maker) mountVolume(number int, source corev1.VolumeSource) {
	name := fmt.Sprintf("volume-%d", number)
	m.addVolume(name, source)
	all := m.containers()
	for _, c := range []*corev1.Container{all[0], all[m.IntN(len(all))]} {
		mount := corev1.VolumeMount{Name: name, MountPath: fmt.Sprintf("/mnt/%d-%d", number, len(c.VolumeMounts))}
		switch m.IntN(6) {
		case 0:
			mount.SubPath = "some/where"
		case 1:
			mount.SubPathExpr = "$(REGION)"
		case 2:
			mount.ReadOnly, mount.RecursiveReadOnly = true, new(corev1.RecursiveReadOnlyIfPossible)
		case 3:
			mount.MountPropagation = new(corev1.MountPropagationHostToContainer)
		case 4:
			mount.MountPath = fmt.Sprintf("/koordinator.d/%d-%d", number, len(c.VolumeMounts)) // similar to koordinator's path, but not the same
		}
		c.VolumeMounts = append(c.VolumeMounts, mount)
	}
}
