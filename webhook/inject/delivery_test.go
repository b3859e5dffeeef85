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
	"koordinator.io/koordinator/wrapper/spec"
)

// byImage are settings by which the wrapper's image is a volume.
func byImage() inject.Settings {
	s := testSettings()
	s.Delivery = inject.ByImageVolume
	return s
}

// injectedBy is a pod after the first call with these settings.
func injectedBy(t *testing.T, settings inject.Settings, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	completed := inject.Complete(inject.Plan(pod, asked(pod), settings), inject.Found{})
	if len(completed.Problems) > 0 {
		t.Fatal(words(completed.Notes))
	}
	return rewritten(t, pod, inject.Rewrite(completed))
}

// A pod that is created again keeps its image volume, whatever image that has
// become; but not one that nothing would clear the records for, nor a second way
// of delivery.
func TestImageVolumesOfCopiedPods(t *testing.T) {
	injected := injectedBy(t, byImage(), sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")))
	const reserved = `volume "koordinator-bin": the name is reserved for koordinator: give this volume another one`
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.PodSpec)
		want   string // the beginning
	}{
		{"another release, of a mirror", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "mirror.example/wrapper:v0.1" }, ""},
		{"without an image", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "" }, reserved},
		{"in the network of the node", func(p *corev1.PodSpec) { p.HostNetwork = true }, `container "main": volumeMount "koordinator-bin" at /koordinator: the directory /koordinator is reserved for koordinator: mount it elsewhere`},
		{"with an init container of ours", func(p *corev1.PodSpec) {
			p.InitContainers = append(p.InitContainers, corev1.Container{
				Name: inject.InstallContainer, Args: []string{spec.BinDir},
				VolumeMounts: []corev1.VolumeMount{{Name: inject.BinVolume, MountPath: spec.BinDir}},
			})
		}, `init container "koordinator-install": the name is reserved for koordinator: give this init container another one`},
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

// Where the image itself is mounted nothing can make places for other mounts.
func TestTheImageHasAPlaceForEveryMount(t *testing.T) {
	file, err := os.ReadFile("../../Dockerfile.wrapper")
	if err != nil {
		t.Fatal(err)
	}
	pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "source", "pod"))
	pod.Spec.Containers[0].VolumeMounts = nil // so that it gets the API access too
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

// A string of a program's environment has 128 KiB at most, and the kubelet
// would start the container in vain.
func TestASpecThatNoProgramCanBeStartedWithIsRefused(t *testing.T) {
	for size, refuses := range map[int]bool{100 << 10: false, 130 << 10: true} {
		pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"sh", "-c", strings.Repeat("$", size)}},
		}}
		problems := plan(pod).Problems
		if (len(problems) == 1) != refuses || refuses && !strings.Contains(problems[0].Text, "an environment variable has room for 131072: shorten its probes and hooks") {
			t.Errorf("a hook of %d bytes: %v", size, problems)
		}
	}
}

// What is found out may be what makes it too large.
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
	const elsewhere = `the directory /koordinator is reserved for koordinator`
	mount := func(m corev1.VolumeMount) func(*corev1.Pod, *corev1.Container) {
		return func(_ *corev1.Pod, main *corev1.Container) { main.VolumeMounts = append(main.VolumeMounts, m) }
	}
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.Pod, main *corev1.Container)
		want   string
	}{
		{"a mount in our directory", mount(corev1.VolumeMount{Name: "data", MountPath: "/koordinator/../koordinator/x"}), `container "main": volumeMount "data" at /koordinator/../koordinator/x: ` + elsewhere + `: mount it elsewhere`},
		{"a relative path", mount(corev1.VolumeMount{Name: "data", MountPath: "koordinator"}), `container "main": volumeMount "data" at koordinator: ` + elsewhere + `: mount it elsewhere`},
		{"the record of another", mount(corev1.VolumeMount{Name: inject.RecordVolume, MountPath: spec.RecordDir, SubPath: "proxy"}), `container "main": volumeMount "koordinator-record" at ` + spec.RecordDir + `: ` + elsewhere + `: mount it elsewhere`},
		{"our volume that can be written", mount(corev1.VolumeMount{Name: inject.BinVolume, MountPath: "/data"}), `container "main": volumeMount "koordinator-bin" at /data: the volume is koordinator's own: mount another`},
		{"our mount twice", func(_ *corev1.Pod, main *corev1.Container) {
			own := corev1.VolumeMount{Name: inject.RecordVolume, MountPath: spec.PeersDir, ReadOnly: true}
			main.VolumeMounts = append(main.VolumeMounts, own, own)
		}, `container "main": volumeMount "koordinator-record" at ` + spec.PeersDir + `: ` + elsewhere + `: mount it elsewhere`},
		{"a device", func(_ *corev1.Pod, main *corev1.Container) {
			main.VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/koordinator/disk"}}
		}, `container "main": volumeDevice "disk" at /koordinator/disk: ` + elsewhere + `: choose another path`},
		{"a termination message", func(_ *corev1.Pod, main *corev1.Container) { main.TerminationMessagePath = "/koordinator/log" }, `container "main": terminationMessagePath /koordinator/log: ` + elsewhere + `, and the kubelet would mount a file there: choose another path`},
		{"the records of others", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log", VolumeMounts: []corev1.VolumeMount{{Name: inject.RecordVolume, MountPath: "/records"}}})
		}, `container "log": volumeMount "koordinator-record" at /records: the volume is koordinator's own: mount another`},
		{"a volume", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Volumes = []corev1.Volume{{Name: inject.PodinfoVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}, `volume "koordinator-podinfo": the name is reserved for koordinator: give this volume another one`},
		{"a container", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: inject.InstallContainer})
		}, `container "koordinator-install": the name is reserved for koordinator: give this container another one`},
		{"an init container", func(pod *corev1.Pod, _ *corev1.Container) {
			pod.Spec.InitContainers = []corev1.Container{{Name: inject.InstallContainer, Args: []string{"/bin"}}}
		}, `init container "koordinator-install": the name is reserved for koordinator: give this init container another one`},
		{"a gate", func(_ *corev1.Pod, main *corev1.Container) {
			main.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "gate"}}}}
		}, `container "main": startupProbe: /koordinator/bin/koordinator is koordinator's own: write the real probe, or none`},
		{"a liveness probe", func(_ *corev1.Pod, main *corev1.Container) {
			main.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "probe", spec.LivenessProbe}}}}
		}, `container "main": livenessProbe: /koordinator/bin/koordinator is koordinator's own: write the real probe, or none`},
		{"a preStop hook", func(_ *corev1.Pod, main *corev1.Container) {
			main.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "prestop"}}}}
		}, `container "main": lifecycle.preStop: /koordinator/bin/koordinator is koordinator's own: write the real hook, or none`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), tt.change), tt.want)
		})
	}
}

// What comes before our init container cannot use what that installs.
func TestAMemberBeforeTheInitContainer(t *testing.T) {
	pod := injected(t, "Never sidecar:proxy main", sketch.Annotations("start-deps", "main: proxy=started"))
	slices.Reverse(pod.Spec.InitContainers)
	check(t, pod, `init container "koordinator-install": "proxy" comes before it and needs what it installs: put koordinator-install first, or ask nothing of "proxy"`)
}

// Our init container neither changes what a pod is nor runs as root.
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

// Whether every node can mount an image is asked at most once for a pod, and not
// where the pod has a delivery.
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
