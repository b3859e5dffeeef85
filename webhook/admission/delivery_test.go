package admission

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// byImage are settings by which the wrapper's image is a volume.
func byImage() inject.Settings {
	s := testSettings()
	s.Delivery = inject.ByImageVolume
	return s
}

// decoded is a pod of JSON.
func decoded(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

// TestDeliveriesDifferInDeliveryOnly takes every golden pod that is injected
// for the first time.
func TestDeliveriesDifferInDeliveryOnly(t *testing.T) {
	paths, err := filepath.Glob("testdata/inject/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := yaml.YAMLToJSONStrict(archive.Files[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			copied, mounted := ask(t, raw), askBy(t, byImage(), raw)
			if diff := cmp.Diff(words(copied), words(mounted)); diff != "" {
				t.Errorf("words (-init container +image volume):\n%s", diff)
			}
			result := patched(t, raw, mounted)
			if again := askBy(t, byImage(), result); again.Patch != nil {
				t.Errorf("the second call is no no-op: %s", again.Patch)
			}
			if again := ask(t, result); again.Patch != nil {
				t.Errorf("a webhook of the other delivery changes it: %s", again.Patch)
			}
			want := decoded(t, patched(t, raw, copied))
			if copied.Patch != nil && !want.Spec.HostNetwork && !strings.Contains(string(raw), inject.InstallContainer) {
				deliverByImage(want)
			}
			if diff := cmp.Diff(want, decoded(t, result)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

// deliverByImage makes of a pod with the init container what the other delivery
// should have made.
func deliverByImage(pod *corev1.Pod) {
	pod.Spec.InitContainers = slices.DeleteFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == inject.InstallContainer })
	if len(pod.Spec.InitContainers) == 0 {
		pod.Spec.InitContainers = nil
	}
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.Name == inject.BinVolume {
			v.VolumeSource = corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "koordinator/wrapper:test", PullPolicy: corev1.PullIfNotPresent}}
		}
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			for i := range c.VolumeMounts {
				if c.VolumeMounts[i].Name == inject.BinVolume {
					c.VolumeMounts[i].MountPath = spec.Root
				}
			}
		}
	}
}

// A pod that is created again keeps its image volume, whatever image that has
// become; but not one that nothing would clear the records for, nor a second way
// of delivery.
func TestImageVolumesOfCopiedPods(t *testing.T) {
	raw := podOf(t, "Never main proxy", given("start-deps", "main: proxy=started"))
	injected := patched(t, raw, askBy(t, byImage(), raw))
	const reserved = `422 volume "koordinator-bin": the name is reserved for koordinator: give this volume another one`
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.PodSpec)
		want   string
	}{
		{"another release, of a mirror", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "mirror.example/wrapper:v0.1" }, ""},
		{"without an image", func(p *corev1.PodSpec) { p.Volumes[0].Image.Reference = "" }, reserved},
		{"in the network of the node", func(p *corev1.PodSpec) { p.HostNetwork = true }, `422 (1 of 3) container "main": volumeMount "koordinator-bin" at /koordinator: the directory /koordinator is reserved for koordinator: mount it elsewhere`},
		{"with an init container of ours", func(p *corev1.PodSpec) {
			p.InitContainers = append(p.InitContainers, corev1.Container{
				Name: inject.InstallContainer, Args: []string{spec.BinDir},
				VolumeMounts: []corev1.VolumeMount{{Name: inject.BinVolume, MountPath: spec.BinDir}},
			})
		}, `422 init container "koordinator-install": the name is reserved for koordinator: give this init container another one`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := decoded(t, injected)
			if pod.Spec.Volumes[0].Name != inject.BinVolume {
				t.Fatalf("the first volume is %s", pod.Spec.Volumes[0].Name)
			}
			tt.change(&pod.Spec)
			changed, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			resp := ask(t, changed)
			have, _, _ := strings.Cut(words(resp), "\n")
			if have != tt.want || resp.Patch != nil {
				t.Errorf("have %s, patch %s\nwant %s", have, resp.Patch, tt.want)
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
	settings := byImage()
	raw := podOf(t, "Never main proxy", given("start-deps", "main: proxy=started", "source", "pod"))
	pod := decoded(t, raw)
	pod.Spec.Containers[0].VolumeMounts = nil // so that it gets the API access too
	raw, err = json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	mounts := decoded(t, patched(t, raw, askBy(t, settings, raw))).Spec.Containers[0].VolumeMounts
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
		pod := decoded(t, podOf(t, "Never main proxy", given("start-deps", "main: proxy=started")))
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"sh", "-c", strings.Repeat("$", size)}},
		}}
		raw, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		resp := ask(t, raw)
		if resp.Allowed == refuses || refuses && !strings.Contains(words(resp), "an environment variable has room for 131072: shorten its probes and hooks") {
			t.Errorf("a hook of %d bytes: %.300s", size, words(resp))
		}
	}
}

// TestDeliveryByTheNodes takes a pod through both answers.
func TestDeliveryByTheNodes(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/inject/job-with-proxy.txtar")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := yaml.YAMLToJSONStrict(archive.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	for able, want := range map[bool]inject.Settings{true: byImage(), false: testSettings()} {
		s := testSettings()
		s.Delivery, s.ImageVolumes = inject.ByNodes, func() bool { return able }
		have := patched(t, raw, askBy(t, s, raw))
		if diff := cmp.Diff(decoded(t, patched(t, raw, askBy(t, want, raw))), decoded(t, have)); diff != "" {
			t.Errorf("image volumes %t (-want +have):\n%s", able, diff)
		}
		s.ImageVolumes = func() bool { return !able }
		if again := askBy(t, s, have); again.Patch != nil {
			t.Errorf("an injected pod changes with the nodes: %s", again.Patch)
		}
	}
}
