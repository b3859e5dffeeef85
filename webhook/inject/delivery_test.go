package inject_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// byImage returns settings with which the wrapper's image is a volume.
func byImage() inject.Settings {
	s := testSettings()
	s.Delivery = inject.ByImageVolume
	return s
}

// injectedBy returns a pod after the first call with these settings.
func injectedBy(t *testing.T, settings inject.Settings, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	completed := inject.Complete(inject.Plan(pod, asked(pod), settings), inject.Found{})
	if len(completed.Problems) > 0 {
		t.Fatal(words(completed.Notes))
	}
	return rewritten(t, pod, inject.Rewrite(completed))
}

// A pod that is created again keeps its image volume, even if it is of another
// image. It does not keep one without which records would not be cleared, and not
// in addition to a second delivery.
func TestImageVolumesOfCopiedPods(t *testing.T) {
	injected := injectedBy(t, byImage(), sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")))
	const reserved = `spec.volumes[koordinator-bin]: the name is reserved for koordinator. Rename the volume [KO503]`
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.PodSpec)
		want   string // the beginning
	}{
		{"another release, of a mirror", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "mirror.example/wrapper:v0.1" }, ""},
		{"without an image", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "" }, reserved},
		{"in the network of the node", func(p *corev1.PodSpec) { p.HostNetwork = true }, `spec.containers[main].volumeMounts[koordinator-bin]: mountPath /koordinator lies in /koordinator, which is reserved for koordinator. Mount the volume elsewhere [KO502]`},
		{"with an init container of ours", func(p *corev1.PodSpec) {
			p.InitContainers = append(p.InitContainers, corev1.Container{
				Name: inject.InstallContainer, Args: []string{spec.BinDir},
				VolumeMounts: []corev1.VolumeMount{{Name: inject.BinVolume, MountPath: spec.BinDir}},
			})
		}, `spec.initContainers[koordinator-install].name: the name is reserved for koordinator. Rename the init container [KO506]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := injected.DeepCopy()
			if pod.Spec.Volumes[0].Name != inject.BinVolume {
				t.Fatalf("the first volume is %s", pod.Spec.Volumes[0].Name)
			}
			tt.change(&pod.Spec)
			completed := inject.Complete(plan(pod), inject.Found{})
			have, _, _ := strings.Cut(words(completed.Notes), "\n")
			if patch := inject.Rewrite(completed); have != tt.want || len(patch) > 0 {
				t.Errorf("have %s, patch %v\nwant %s", have, patch, tt.want)
			}
		})
	}
}

// If the image itself is mounted, nothing can create directories for other
// mounts.
func TestTheImageHasAPlaceForEveryMount(t *testing.T) {
	file, err := os.ReadFile("../../Dockerfile.wrapper")
	if err != nil {
		t.Fatal(err)
	}
	pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "source", "pod"))
	pod.Spec.Containers[0].VolumeMounts = nil // so that it gets API access, too
	mounts := injectedBy(t, byImage(), pod).Spec.Containers[0].VolumeMounts
	if len(mounts) != 5 {
		t.Fatalf("have %d mounts, want 5", len(mounts))
	}
	for _, m := range mounts {
		if dir := filepath.Base(m.MountPath); m.MountPath != spec.Root && !strings.Contains(string(file), "/places/"+dir) {
			t.Errorf("Dockerfile.wrapper makes no /%s for the mount at %s", dir, m.MountPath)
		}
	}
}

// A string of a program's environment has at most 128 KiB. With a longer one, the
// kubelet would fail to start the container.
func TestASpecThatNoProgramCanBeStartedWithIsRefused(t *testing.T) {
	for size, refuses := range map[int]bool{100 << 10: false, 130 << 10: true} {
		pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"sh", "-c", strings.Repeat("$", size)}},
		}}
		problems := plan(pod).Problems
		if (len(problems) == 1) != refuses || refuses && problems[0].Code != messages.SpecTooLong {
			t.Errorf("a hook of %d bytes: %v", size, problems)
		}
	}
}

// The commands that are found may be what makes a spec too large.
func TestCommandsThatNoProgramCanBeStartedWithAreRefused(t *testing.T) {
	for size, refuses := range map[int]bool{100 << 10: false, 130 << 10: true} {
		pod := unknownCommands(sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")), "main")
		found := inject.Found{Commands: map[string]inject.Command{"main": {ByPlatform: map[string][]string{"linux/amd64": {strings.Repeat("x", size)}}}}}
		planned := plan(pod)
		if problems := inject.Complete(planned, found).Problems; (len(problems) == 1) != refuses || len(planned.Problems) > 0 {
			t.Errorf("a command of %d bytes: %.300v", size, problems)
		}
	}
}

func TestReservedNames(t *testing.T) {
	const inReserved, elsewhere = ` lies in /koordinator, which is reserved for koordinator`, `. Mount the volume elsewhere [KO502]`
	mount := func(m corev1.VolumeMount) func(*corev1.Pod, *corev1.Container) {
		return func(_ *corev1.Pod, main *corev1.Container) { main.VolumeMounts = append(main.VolumeMounts, m) }
	}
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.Pod, main *corev1.Container)
		want   string
	}{
		{"a mount in our directory", mount(corev1.VolumeMount{Name: "data", MountPath: "/koordinator/../koordinator/x"}), `spec.containers[main].volumeMounts[data]: mountPath /koordinator/../koordinator/x` + inReserved + elsewhere},
		{"a relative path", mount(corev1.VolumeMount{Name: "data", MountPath: "koordinator"}), `spec.containers[main].volumeMounts[data]: mountPath koordinator` + inReserved + elsewhere},
		{"the record of another", mount(corev1.VolumeMount{Name: inject.RecordVolume, MountPath: spec.RecordDir, SubPath: "proxy"}), `spec.containers[main].volumeMounts[koordinator-record]: mountPath ` + spec.RecordDir + inReserved + elsewhere},
		{"our volume that can be written", mount(corev1.VolumeMount{Name: inject.BinVolume, MountPath: "/data"}), `spec.containers[main].volumeMounts[koordinator-bin]: only koordinator may mount this volume, and it did not add the mount at /data. Mount another volume [KO504]`},
		{"our mount twice", func(_ *corev1.Pod, main *corev1.Container) {
			own := corev1.VolumeMount{Name: inject.RecordVolume, MountPath: spec.PeersDir, ReadOnly: true}
			main.VolumeMounts = append(main.VolumeMounts, own, own)
		}, `spec.containers[main].volumeMounts[koordinator-record]: mountPath ` + spec.PeersDir + inReserved + elsewhere},
		{"a device", func(_ *corev1.Pod, main *corev1.Container) {
			main.VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/koordinator/disk"}}
		}, `spec.containers[main].volumeDevices[disk]: devicePath /koordinator/disk` + inReserved + `. Choose another path [KO502]`},
		{"a termination message", func(_ *corev1.Pod, main *corev1.Container) { main.TerminationMessagePath = "/koordinator/log" }, `spec.containers[main].terminationMessagePath: the file /koordinator/log` + inReserved + `. Choose another path [KO502]`},
		{"the records of others", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log", VolumeMounts: []corev1.VolumeMount{{Name: inject.RecordVolume, MountPath: "/records"}}})
		}, `spec.containers[log].volumeMounts[koordinator-record]: only koordinator may mount this volume, and it did not add the mount at /records. Mount another volume [KO504]`},
		{"a volume", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Volumes = []corev1.Volume{{Name: inject.PodinfoVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}, `spec.volumes[koordinator-podinfo]: the name is reserved for koordinator. Rename the volume [KO503]`},
		{"a container", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: inject.InstallContainer})
		}, `spec.containers[koordinator-install].name: the name is reserved for koordinator. Rename the container [KO506]`},
		{"an init container", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.InitContainers = []corev1.Container{{Name: inject.InstallContainer, Args: []string{"/bin"}}}
		}, `spec.initContainers[koordinator-install].name: the name is reserved for koordinator. Rename the init container [KO506]`},
		{"a gate", func(_ *corev1.Pod, main *corev1.Container) {
			main.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "gate"}}}}
		}, `spec.containers[main].startupProbe.exec.command: /koordinator/bin/koordinator is koordinator's own program. Write the container's own probe, or remove the probe [KO509]`},
		{"a liveness probe", func(_ *corev1.Pod, main *corev1.Container) {
			main.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "probe", spec.LivenessProbe}}}}
		}, `spec.containers[main].livenessProbe.exec.command: /koordinator/bin/koordinator is koordinator's own program. Write the container's own probe, or remove the probe [KO509]`},
		{"a preStop hook", func(_ *corev1.Pod, main *corev1.Container) {
			main.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "prestop"}}}}
		}, `spec.containers[main].lifecycle.preStop.exec.command: /koordinator/bin/koordinator is koordinator's own program. Write the container's own hook, or remove the hook [KO510]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), tt.change), tt.want)
		})
	}
}

// A container before the installer cannot use the program that it installs.
func TestAMemberBeforeTheInitContainer(t *testing.T) {
	pod := injected(t, "Never sidecar:proxy main", sketch.Annotations("start-deps", "main: proxy=started"))
	slices.Reverse(pod.Spec.InitContainers)
	check(t, pod, `spec.initContainers[koordinator-install]: "proxy" comes before this container and needs the program that it installs. Move koordinator-install to the first position, or remove the settings of "proxy" [KO507]`)
}

// The installer neither changes the pod's class nor runs as root.
func TestTheInitContainerFitsThePod(t *testing.T) {
	requests := corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}}
	for _, tt := range []struct {
		name      string
		change    func(pod *corev1.Pod, main *corev1.Container)
		resources bool
		user      *int64
	}{
		{name: "of a pod without resources"},
		{name: "of a pod with requests", change: func(_ *corev1.Pod, main *corev1.Container) { main.Resources = requests }, resources: true},
		{name: "of a pod with storage alone", change: func(_ *corev1.Pod, main *corev1.Container) {
			main.Resources.Requests = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
		}},
		{name: "of a pod with resources as a whole", change: func(pod *corev1.Pod, main *corev1.Container) {
			main.Resources, pod.Spec.Resources = requests, &requests
		}},
		{name: "of a pod of root", change: func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
		}, user: new(int64(65532))},
		{name: "of a pod of another user", change: func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			settings := testSettings()
			settings.Resources = requests
			install := injectedBy(t, settings, changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), tt.change)).Spec.InitContainers[0]
			if has := len(install.Resources.Requests) > 0; has != tt.resources {
				t.Errorf("it has resources: %t, want %t", has, tt.resources)
			}
			if diff := cmp.Diff(tt.user, install.SecurityContext.RunAsUser); diff != "" {
				t.Errorf("user (-want +have):\n%s", diff)
			}
		})
	}
}

// The capability of the nodes is requested at most once per pod, and not if the
// pod already has a delivery.
func TestDeliveryByTheNodes(t *testing.T) {
	for able, want := range map[bool]inject.Settings{true: byImage(), false: testSettings()} {
		t.Run(fmt.Sprint(able), func(t *testing.T) {
			pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
			calls := 0
			settings := testSettings()
			settings.Delivery, settings.ImageVolumes = inject.ByNodes, func() bool { calls++; return able }
			have := injectedBy(t, settings, pod)
			if diff := cmp.Diff(injectedBy(t, want, pod), have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			able = !able
			if diff := cmp.Diff(have, injectedBy(t, settings, have)); diff != "" {
				t.Errorf("an injected pod changes with the nodes:\n%s", diff)
			}
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
		})
	}
}

// Pod Security "restricted" requires a seccomp profile of each container, and some
// security context constraints of OpenShift reject each one.
func TestTheInstallerHasASeccompProfileIfItNeedsOne(t *testing.T) {
	profile := func(kind corev1.SeccompProfileType) *corev1.SeccompProfile { return &corev1.SeccompProfile{Type: kind} }
	for _, tt := range []struct {
		name            string
		pod, main, side *corev1.SeccompProfile
		want            bool
	}{
		{"no container has one", nil, nil, nil, false},
		{"one container has one", nil, profile(corev1.SeccompProfileTypeRuntimeDefault), nil, false},
		{"each container has one", nil, profile(corev1.SeccompProfileTypeRuntimeDefault), profile(corev1.SeccompProfileTypeLocalhost), true},
		{"the pod has one", profile(corev1.SeccompProfileTypeRuntimeDefault), nil, nil, false},
		{"the pod has one, and each container", profile(corev1.SeccompProfileTypeRuntimeDefault), profile(corev1.SeccompProfileTypeRuntimeDefault), profile(corev1.SeccompProfileTypeRuntimeDefault), false},
		{"the pod has none explicitly", profile(corev1.SeccompProfileTypeUnconfined), nil, nil, false},
		{"the pod has one for its app", profile(corev1.SeccompProfileTypeLocalhost), nil, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), func(pod *corev1.Pod, _ *corev1.Container) {
				if tt.pod != nil {
					pod.Spec.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: tt.pod}
				}
				for i, own := range []*corev1.SeccompProfile{tt.main, tt.side} {
					if own != nil {
						pod.Spec.Containers[i].SecurityContext = &corev1.SecurityContext{SeccompProfile: own}
					}
				}
			})
			have := injectedBy(t, testSettings(), pod).Spec.InitContainers[0].SecurityContext.SeccompProfile
			if (have != nil) != tt.want || have != nil && have.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("have %+v", have)
			}
		})
	}
}
