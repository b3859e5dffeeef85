package admission

import (
	"encoding/json"
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

// byImage returns settings with which the wrapper's image is a volume.
func byImage() inject.Settings {
	s := testSettings()
	s.Delivery = inject.ByImageVolume
	return s
}

// decoded returns a pod decoded from JSON.
func decoded(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

// TestDeliveriesDifferInDeliveryOnly uses every golden pod that is injected for
// the first time.
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

// deliverByImage converts a pod with the init container to the expected result of
// the other delivery.
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
