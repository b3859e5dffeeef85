package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestOnlyNewPodsAreLookedAt(t *testing.T) {
	pod := podOf(t, "Never main", map[string]string{"koordinator.io/start-deps": "main: nobody"})
	create := admissionv1.AdmissionRequest{
		Operation: admissionv1.Create,
		Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:    runtime.RawExtension{Raw: pod},
	}
	for name, change := range map[string]func(r *admissionv1.AdmissionRequest){
		"an update":         func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update },
		"a subresource":     func(r *admissionv1.AdmissionRequest) { r.SubResource = "ephemeralcontainers" },
		"another resource":  func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "podtemplates" },
		"a pod not of ours": func(r *admissionv1.AdmissionRequest) { r.Object.Raw = podOf(t, "Never main", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			req := create
			change(&req)
			resp := testHandler().
				Handle(context.Background(), admission.Request{AdmissionRequest: req})
			if !resp.Allowed || len(resp.Patch) > 0 || len(resp.Warnings) > 0 {
				t.Errorf("have %+v, want it allowed as it is", resp)
			}
		})
	}
	if resp := ask(t, []byte(`{"spec":`)); resp.Allowed || resp.Result.Code != 400 {
		t.Errorf("half a pod: have %+v, want 400", resp)
	}
}

// Between our two calls the API server fills in defaults, admission plugins
// and other webhooks add to the pod, and ours is no longer the first init
// container.
func TestSecondCallAfterOthers(t *testing.T) {
	raw := podOf(t, "Never init:migrate main proxy", map[string]string{"koordinator.io/start-deps": "main: istio-proxy"})
	var pod corev1.Pod
	if err := json.Unmarshal(patched(t, raw, ask(t, raw)), &pod); err != nil {
		t.Fatal(err)
	}
	token := corev1.VolumeMount{Name: "token", MountPath: spec.APIAccess, ReadOnly: true}
	install := &pod.Spec.InitContainers[0]
	if install.Name != inject.InstallContainer {
		t.Fatalf("%s is the first init container", install.Name)
	}
	install.VolumeMounts = append(install.VolumeMounts, token)
	install.Image = "mirror.local/" + install.Image
	install.Env = append(install.Env, corev1.EnvVar{Name: "ADDED", Value: "1"})
	for i := range pod.Spec.Volumes { // as policies do
		if e := pod.Spec.Volumes[i].EmptyDir; e != nil && e.SizeLimit == nil {
			e.SizeLimit = resource.NewQuantity(100<<20, resource.BinarySI)
		}
	}
	late := corev1.Container{Name: "istio-proxy", Image: "istio", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
	pod.Spec.InitContainers = append([]corev1.Container{late}, pod.Spec.InitContainers...)
	pod.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "ADDED", Value: "1"}}, pod.Spec.Containers[0].Env...)
	changed, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if resp := ask(t, changed); !resp.Allowed || resp.Patch != nil {
		t.Errorf("have %s, patch %s, want no change", words(resp), resp.Patch)
	}
}

// Another webhook may put its own program before ours, which then stands in
// the args: the container is wrapped already.
func TestSecondCallAfterAnotherWrapper(t *testing.T) {
	raw := podOf(t, "Never main proxy", map[string]string{"koordinator.io/start-deps": "main: proxy"})
	var pod corev1.Pod
	if err := json.Unmarshal(patched(t, raw, ask(t, raw)), &pod); err != nil {
		t.Fatal(err)
	}
	main := &pod.Spec.Containers[0]
	main.Command, main.Args = []string{"/vault/vault-env"}, slices.Concat(main.Command, main.Args)
	changed, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if resp := ask(t, changed); !resp.Allowed || resp.Patch != nil {
		t.Errorf("have %s, patch %s, want no change", words(resp), resp.Patch)
	}
}

// added is the pod after our first call, with a container that another webhook
// adds before the second.
func added(t *testing.T, raw []byte, c corev1.Container) []byte {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(patched(t, raw, ask(t, raw)), &pod); err != nil {
		t.Fatal(err)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, c)
	changed, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// specOf is the spec of a container as the wrapper reads it.
func specOf(t *testing.T, pod *corev1.Pod, name string) spec.Spec {
	t.Helper()
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == name && e.Name == spec.Env {
				s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$"))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
	}
	t.Fatalf("container %q has no spec", name)
	return spec.Spec{}
}

// A container that takes part and comes between our two calls is wrapped in the
// second, and the others are told of it.
func TestSecondCallWithAnotherContainer(t *testing.T) {
	token := []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}}
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		added       corev1.Container
		wrapped     string // status annotation
		check       func(t *testing.T, pod *corev1.Pod)
	}{
		{
			name: "by an essential one", pod: "Never main proxy", annotations: given("essential", "main", "stop-timeout", "main: 5s"),
			added:   corev1.Container{Name: "log", Image: "log", Command: []string{"/log"}, VolumeMounts: token},
			wrapped: `{"version":"test","wrapped":["main","proxy","log"]}`,
			check: func(t *testing.T, pod *corev1.Pod) {
				if s := specOf(t, pod, "log"); len(s.StopDeps) != 1 || len(s.Wrapped) != 1 {
					t.Errorf("the spec of log is %s", s.Encode())
				}
			},
		},
		{
			name: "that needs a wrapper that was to go", pod: "Never main", annotations: given("essential", "main", "start-timeout", "main: 5s"),
			added:   corev1.Container{Name: "log", Image: "log", Command: []string{"/log"}, VolumeMounts: token},
			wrapped: `{"version":"test","wrapped":["main","log"]}`,
			check: func(t *testing.T, pod *corev1.Pod) {
				if s := specOf(t, pod, "main"); s.Mode != spec.Supervise {
					t.Errorf("the spec of main is %s", s.Encode())
				}
			},
		},
		{
			name: "to hold for", pod: "Never main proxy", annotations: given("stop-deps", "main: istio-proxy"),
			added:   corev1.Container{Name: "istio-proxy", Image: "istio"},
			wrapped: `{"version":"test","wrapped":["main"]}`,
			check: func(t *testing.T, pod *corev1.Pod) {
				if s := specOf(t, pod, "main"); !slices.Equal(s.HoldFor, []string{"istio-proxy"}) {
					t.Errorf("the spec of main is %s", s.Encode())
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := added(t, podOf(t, tt.pod, tt.annotations), tt.added)
			result := patched(t, changed, ask(t, changed))
			var pod corev1.Pod
			if err := json.Unmarshal(result, &pod); err != nil {
				t.Fatal(err)
			}
			if have := pod.Annotations[inject.StatusAnnotation]; have != tt.wrapped {
				t.Errorf("status %s, want %s", have, tt.wrapped)
			}
			var status inject.Status
			if err := json.Unmarshal([]byte(tt.wrapped), &status); err != nil {
				t.Fatal(err)
			}
			if have := pod.Spec.InitContainers[0].Args[2:]; !slices.Equal(have, status.Wrapped) {
				t.Errorf("directories are made for %v, want %v", have, status.Wrapped)
			}
			tt.check(t, &pod)
			if resp := ask(t, result); !resp.Allowed || resp.Patch != nil {
				t.Errorf("have %s, patch %s, want no change", words(resp), resp.Patch)
			}
		})
	}
}

// A container that comes between our two calls and cannot be looked up changes
// nothing of the first, and nobody is told that the pod is not ordered.
func TestSecondCallWithAContainerThatCannotBeLookedUp(t *testing.T) {
	changed := added(t, podOf(t, "Never main proxy", given("essential", "main")), corev1.Container{Name: "log", Image: "log"})
	settings := testSettings()
	settings.SkipTrouble = true
	pod := decoded(t, changed)
	found := inject.Found{Commands: map[string]inject.Command{"log": {Problem: "no answer", Trouble: true}}}
	asked, _ := annotations.Read(pod.ObjectMeta)
	result := inject.Complete(inject.Plan(pod, asked, settings), found)
	if patch := inject.Rewrite(result); !result.Skipped || len(patch)+len(result.Problems) > 0 {
		t.Errorf("have %+v, patch %v, want no change", result, patch)
	}
	if told := strings.Join(result.Warnings, "\n"); strings.Contains(told, "left alone") || !strings.Contains(told, "ordered without") {
		t.Errorf("told: %s", told)
	}
}

// What a spec in the pod says is never believed: where all else is ours it is
// written anew, from the annotations, and else refused.
func TestForgedSpecsAreNotBelieved(t *testing.T) {
	raw := podOf(t, "Never main proxy", given("start-deps", "main: proxy=started"))
	injected := patched(t, raw, ask(t, raw))
	forged := bytes.Replace(injected, []byte(`\"proxy=started\"`), []byte(`\"proxy=exited\"`), 1)
	if bytes.Equal(forged, injected) {
		t.Fatal("nothing is forged")
	}
	if diff := cmp.Diff(string(injected), string(patched(t, forged, ask(t, forged)))); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}

	var pod corev1.Pod
	if err := json.Unmarshal(forged, &pod); err != nil {
		t.Fatal(err)
	}
	main := &pod.Spec.Containers[0]
	main.VolumeMounts = slices.DeleteFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == inject.RecordVolume })
	changed, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	want := "422 container \"main\": env KOORDINATOR_SPEC: koordinator knows it from the annotations and the pod: remove it\n"
	if have := words(ask(t, changed)); have != want {
		t.Errorf("have %s, want %s", have, want)
	}
}

// Sizes are checked by the API server only after us.
func TestWhatIsTooLargeIsRefusedAtOnce(t *testing.T) {
	var chain, many, typos strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&chain, "a%d: a%d=exited\n", i, i+1)
	}
	for i := range 2000 {
		fmt.Fprintf(&many, " c%d", i)
		fmt.Fprintf(&typos, "main%d: x\n", i)
	}
	var full, stops, exits strings.Builder // of contradictions
	for i := range 200 {
		fmt.Fprintf(&full, " c%d", i)
		fmt.Fprintf(&stops, "c%d: [", i)
		fmt.Fprintf(&exits, "c%d: [", i)
		for k := max(0, i-10); k < i; k++ {
			fmt.Fprintf(&exits, "c%d=exited, ", k)
			fmt.Fprintf(&stops, "c%d, ", k)
		}
		stops.WriteString("]\n")
		exits.WriteString("]\n")
	}
	trim := strings.NewReplacer("c0: []\n", "")
	for name, tt := range map[string]struct{ containers, deps, stops, want string }{
		"annotations": {"Never main", chain.String(), "", "koordinator.io/: the annotations have"},
		"containers":  {"Never" + many.String(), "c0: c1", "", "spec.containers: the pod has 2000 containers"},
		"problems":    {"Never main", typos.String(), "", "(20 of "},
		"contradictions": {
			"Never" + full.String(), trim.Replace(exits.String()), trim.Replace(stops.String()), "(20 of ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{"koordinator.io/start-deps": tt.deps}
			if tt.stops != "" {
				annotations["koordinator.io/stop-deps"] = tt.stops
			}
			resp := ask(t, podOf(t, tt.containers, annotations))
			if resp.Allowed || !strings.Contains(resp.Result.Message, tt.want) || len(resp.Result.Message) > 32<<10 {
				t.Errorf("allowed %v, %d bytes: %.300s", resp.Allowed, len(resp.Result.Message), resp.Result.Message)
			}
		})
	}
}

// Clients that list causes show nothing else: a pod restored from a backup by
// its one name, and that there are more problems than are listed.
func TestWhatClientsThatListCausesShow(t *testing.T) {
	var typos strings.Builder
	for i := range 30 {
		fmt.Fprintf(&typos, "main%d: x\n", i)
	}
	raw := bytes.Replace(podOf(t, "Never main", given("start-deps", typos.String())), []byte(`"metadata":{`), []byte(`"metadata":{"generateName":"web-",`), 1)
	details := ask(t, raw).Result.Details
	if details.Name != "web" {
		t.Errorf("the name is %q", details.Name)
	}
	if n := len(details.Causes); n != 21 || !strings.Contains(details.Causes[n-1].Message, "10 more problems") {
		t.Errorf("%d causes, the last is %v", n, details.Causes[n-1])
	}
}

// Container names are checked by the API server only after us, and a message
// that lists them all for each of thousands of mistakes would take all memory.
func TestMistakesTakeNoMoreMemoryThanWhatIsTold(t *testing.T) {
	names := "Never"
	for i := range 199 {
		names += fmt.Sprintf(" c%d%s", i, strings.Repeat("x", 10000))
	}
	var unknown, exits, ready strings.Builder
	unknown.WriteString("main: ")
	for i := range 9000 {
		fmt.Fprintf(&unknown, "x%x,", i)
	}
	unknown.WriteString("main")
	long := strings.Repeat("y", 50)
	several := "Never"
	for i := range 60 {
		several += fmt.Sprintf(" a%d%s r%d n%d", i, long, i, i)
		if i > 0 {
			fmt.Fprintf(&exits, "a%d%s: a%d%s=exited\n", i, long, i-1, long)
		}
		fmt.Fprintf(&ready, "n%d: a59%s=exited", i, long)
		for k := range 60 {
			fmt.Fprintf(&ready, ", r%d", k)
		}
		ready.WriteString("\n")
	}
	for name, tt := range map[string]struct {
		pod         string
		annotations map[string]string
		told        func(resp admission.Response) bool
	}{
		"unknown containers": {names + " main", given("start-deps", unknown.String()), func(resp admission.Response) bool {
			return !resp.Allowed && strings.Contains(resp.Result.Message, "(20 of ")
		}},
		"contradictions": {several, given("start-deps", exits.String()+ready.String(), "essential", "["+strings.ReplaceAll(strings.TrimPrefix(several, "Never "), " ", ", ")+"]"), func(resp admission.Response) bool {
			return resp.Allowed && len(resp.Warnings) == 100
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := podOf(t, tt.pod, tt.annotations)
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			resp := ask(t, raw)
			goruntime.ReadMemStats(&after)
			if !tt.told(resp) {
				t.Errorf("%.300s", words(resp))
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 1024 {
				t.Errorf("%d MiB were allocated", took)
			}
		})
	}
}

func TestContainersThatCannotBeWrapped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.Pod, main *corev1.Container)
		want   string
	}{
		{
			"no command", func(_ *corev1.Pod, main *corev1.Container) { main.Command = nil },
			`container "main": pod "web": the command is not known: the image "main" decides what is run, and this installation does not look into images; or set command: in the pod, or the annotation koordinator.io/command: {"main": ["/path/to/program", "arg"]}, or have the operator of koordinator add the image to the command index`,
		},
		{
			"a pod name of the user's", func(_ *corev1.Pod, main *corev1.Container) {
				main.Env = []corev1.EnvVar{{Name: "KOORDINATOR_POD_NAME", Value: "other"}}
			},
			`container "main": env KOORDINATOR_POD_NAME: koordinator knows it from the annotations and the pod: remove it`,
		},
		{
			"SIGKILL as stop signal", func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGKILL)}
			},
			`container "main": lifecycle.stopSignal: signal "SIGKILL" cannot be handled by any command (choose one as SIGTERM, SIGINT or SIGQUIT)`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pod corev1.Pod
			raw := podOf(t, "Never main proxy", map[string]string{"koordinator.io/start-deps": "main: proxy"})
			if err := json.Unmarshal(raw, &pod); err != nil {
				t.Fatal(err)
			}
			tt.change(&pod, &pod.Spec.Containers[0])
			raw, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			if have := strings.TrimSpace(words(ask(t, raw))); have != "422 "+tt.want {
				t.Errorf("\nhave %s\nwant %s", have, tt.want)
			}
		})
	}
}
