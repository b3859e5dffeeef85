package admission

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestTheCommandOfAnImage(t *testing.T) {
	s := newShop(t)
	both := func(c v1.Config) map[string]v1.Config {
		return map[string]v1.Config{"linux/amd64": c, "linux/arm64": c}
	}
	web := s.push(t, "web:1", both(v1.Config{Entrypoint: []string{"/entry", "$HOME"}, Cmd: []string{"serve"}, StopSignal: "SIGQUIT"}))
	cmdOnly := s.push(t, "cmd:1", both(v1.Config{Cmd: []string{"serve"}}))
	differs := s.push(t, "differs:1", map[string]v1.Config{"linux/amd64": {Entrypoint: []string{"/x86"}}, "linux/arm64": {Entrypoint: []string{"/arm"}}})
	for title, tt := range map[string]struct {
		image    string
		args     []string
		command  []string
		commands map[string][]string
		signal   string
	}{
		"pitfall 13: ENTRYPOINT and CMD":                      {image: web, command: []string{"/entry", "$$HOME", "serve"}, signal: "SIGQUIT"},
		"pitfall 13: args replace CMD":                        {image: web, args: []string{"$(MINE)"}, command: []string{"/entry", "$$HOME"}, signal: "SIGQUIT"},
		"pitfall 13: an image with CMD alone runs the args":   {image: cmdOnly, args: []string{"mine"}, command: []string{}},
		"pitfall 17: something else on each platform":         {image: differs, command: []string{}, commands: map[string][]string{"linux/amd64": {"/x86"}, "linux/arm64": {"/arm"}}},
		"pitfall 17: something else on each, before the args": {image: differs, args: []string{"a"}, command: []string{}, commands: map[string][]string{"linux/amd64": {"/x86"}, "linux/arm64": {"/arm"}}},
	} {
		t.Run(title, func(t *testing.T) {
			resp, pod := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command, main.Args = tt.image, nil, tt.args })
			if !resp.Allowed {
				t.Fatal(resp.Result.Message)
			}
			c := pod.Spec.Containers[0]
			if diff := cmp.Diff(append([]string{spec.Binary, "--"}, tt.command...), c.Command); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.args, c.Args); diff != "" {
				t.Error(diff)
			}
			got := specOf(t, &pod, "main")
			if diff := cmp.Diff(tt.commands, got.Commands); diff != "" {
				t.Error(diff)
			}
			if signal := got.RequestSignal; (signal == 0) != (tt.signal == "") || signal != 0 && spec.SignalName(signal) != tt.signal {
				t.Errorf("stop signal %v, want %q", signal, tt.signal)
			}
			if !slices.ContainsFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, "tag may be moved") }) {
				t.Errorf("no warning of a tag that may be moved: %q", resp.Warnings)
			}
		})
	}
	t.Run("pitfall 18: an image named by its digest needs no warning", func(t *testing.T) {
		digest := warned(t, s, web)
		resp, pod := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = web+"@"+digest, nil })
		if len(resp.Warnings) > 0 {
			t.Error(resp.Warnings)
		}
		if have, want := pod.Annotations[inject.StatusAnnotation], `"lookedUp":{"main":"`+digest+`"}`; !strings.Contains(have, want) {
			t.Errorf("status %s, want %s", have, want)
		}
	})
}

// The API server does not limit the length of an image's name, and a registry may
// send any answer: neither is reported or logged in full.
func TestLongNamesAndAnswersAreNotTold(t *testing.T) {
	s := newShop(t)
	var logged strings.Builder
	s.open(t, slog.New(slog.NewJSONHandler(&logged, nil)))
	long := s.host + "/" + strings.Repeat("x", 1<<20)
	resp, _ := s.create(t, func(_, proxy *corev1.Container) { proxy.Image, proxy.Command = long, nil })
	told := len(resp.Result.Message) + len(strings.Join(resp.Warnings, ""))
	if told > 16<<10 || logged.Len() > 16<<10 {
		t.Errorf("%d bytes were told, and %d logged", told, logged.Len())
	}
}

// Another webhook may prepend its own program to koordinator. The result of a
// lookup stays in the container.
func TestWhatAnImageRunsIsKeptBehindAnotherWrapper(t *testing.T) {
	s := newShop(t)
	differs := s.push(t, "differs:1", map[string]v1.Config{
		"linux/amd64": {Entrypoint: []string{"/x86"}, StopSignal: "SIGQUIT"},
		"linux/arm64": {Entrypoint: []string{"/arm"}, StopSignal: "SIGQUIT"},
	})
	_, pod := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = differs, nil })
	main := &pod.Spec.Containers[0]
	main.Command, main.Args = []string{"/vault/vault-env"}, slices.Concat(main.Command, main.Args)
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if resp := s.review(t, raw); !resp.Allowed || resp.Patch != nil {
		t.Errorf("have %s, patch %s, want no change", words(resp), resp.Patch)
	}
}

// warned returns the digest in the warning about a mutable tag.
func warned(t *testing.T, s *shop, image string) string {
	t.Helper()
	resp, _ := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = image, nil })
	_, digest, found := strings.Cut(strings.Join(resp.Warnings, " "), image+"@")
	if !found {
		t.Fatalf("no digest in %q", resp.Warnings)
	}
	digest, _, _ = strings.Cut(digest, ")")
	return digest
}

func TestWhatAnswersBeforeALookup(t *testing.T) {
	s := newShop(t)
	if err := os.WriteFile(filepath.Join(s.files, "commands.yaml"), []byte("indexed: {entrypoint: [/indexed, $x], cmd: [a]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.asked.Store(0)
	for title, change := range map[string]func(main, proxy *corev1.Container){
		"pitfall 12: the pod's command":   func(*corev1.Container, *corev1.Container) {},
		"the cluster's index of commands": func(main, _ *corev1.Container) { main.Image, main.Command = "indexed:1", nil },
	} {
		t.Run(title, func(t *testing.T) {
			resp, pod := s.create(t, change)
			if !resp.Allowed || len(resp.Warnings) > 0 {
				t.Fatal(resp.Result, resp.Warnings)
			}
			if have := pod.Spec.Containers[0].Command; len(have) < 3 || have[0] != spec.Binary {
				t.Errorf("command %q", have)
			}
		})
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests to the registry, want none", n)
	}
}

func TestA26TheCommandIndexKnowsTheStopSignalOfAnImageWhoseCommandThePodSets(t *testing.T) {
	s := newShop(t)
	index := "haproxy: {stopSignal: SIGUSR1}\nodd: {stopSignal: SIGNONE}\n"
	if err := os.WriteFile(filepath.Join(s.files, "commands.yaml"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]syscall.Signal{"haproxy:3": syscall.SIGUSR1, "other:1": 0, "odd:1": 0} {
		resp, pod := s.create(t, func(main, _ *corev1.Container) { main.Image = image })
		if !resp.Allowed {
			t.Fatal(resp.Result)
		}
		if have := specOf(t, &pod, "main").RequestSignal; have != want {
			t.Errorf("%s: signal %d, want %d", image, have, want)
		}
		if odd := len(resp.Warnings) > 0; odd != (image == "odd:1") {
			t.Errorf("%s: warnings %q", image, resp.Warnings)
		}
	}
	resp, pod := s.create(t, func(main, _ *corev1.Container) {
		main.Image, main.Lifecycle = "haproxy:3", &corev1.Lifecycle{StopSignal: new(corev1.SIGTERM)}
	})
	if have := specOf(t, &pod, "main").RequestSignal; !resp.Allowed || have != syscall.SIGTERM {
		t.Errorf("with the pod's own stop signal: signal %d", have)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests to the registry, want none", n)
	}
}

func TestALookupThatFails(t *testing.T) {
	s := newShop(t)
	missing := s.host + "/missing:1"
	t.Run("refuses a container that must be wrapped, with three remedies", func(t *testing.T) {
		resp, _ := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = missing, nil })
		if resp.Allowed {
			t.Fatal("allowed")
		}
		for _, part := range []string{
			"spec.containers[main]: ", missing, "404", `the pull secret "gone" does not exist`,
			"set command or the annotation", `koordinator.io/command: {"main": `, "command index",
		} {
			if !strings.Contains(resp.Result.Message, part) {
				t.Errorf("no %q in %s", part, resp.Result.Message)
			}
		}
		if c := resp.Result.Details.Causes; len(c) != 1 || c[0].Field != "spec.containers[main]" {
			t.Errorf("causes %+v", c)
		}
	})
	t.Run("says where credentials are missing", func(t *testing.T) {
		delete(s.keys, client.ObjectKey{Namespace: "shop", Name: "pull"})
		private := s.push(t, "private:1", map[string]v1.Config{"linux/amd64": {Entrypoint: []string{"/x"}}})
		resp, _ := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = private, nil })
		if resp.Allowed || !strings.Contains(resp.Result.Message, "401") || !strings.Contains(resp.Result.Message, `the pull secret "pull" does not exist`) {
			t.Error(resp.Result.Message)
		}
	})
	t.Run("leaves a container unwrapped that is only depended on", func(t *testing.T) {
		var pod corev1.Pod
		raw := podOf(t, "Never main proxy", map[string]string{"koordinator.io/start-deps": "main: proxy=started"})
		if err := json.Unmarshal(raw, &pod); err != nil {
			t.Fatal(err)
		}
		pod.Spec.Containers[1].Image, pod.Spec.Containers[1].Command = missing, nil
		pod.Spec.Containers[0].Command = []string{"/known"}
		raw, _ = json.Marshal(pod)
		resp := s.review(t, raw)
		if !resp.Allowed || !strings.Contains(strings.Join(resp.Warnings, " "), "spec.containers[proxy]: koordinator does not wrap this container") {
			t.Fatal(resp.Result.Message, resp.Warnings)
		}
		if err := json.Unmarshal(patched(t, raw, resp), &pod); err != nil {
			t.Fatal(err)
		}
		if len(pod.Spec.Containers[1].Command) > 0 || pod.Spec.Containers[0].Command[0] != spec.Binary {
			t.Errorf("commands %q, %q", pod.Spec.Containers[0].Command, pod.Spec.Containers[1].Command)
		}
	})
	t.Run("leaves the whole pod alone where the operator wants that", func(t *testing.T) {
		s.settings.SkipTrouble = true
		defer func() { s.settings.SkipTrouble = false }()
		resp, pod := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = missing, nil })
		if !resp.Allowed || !strings.Contains(strings.Join(resp.Warnings, " "), "koordinator does not change this pod") {
			t.Fatal(resp.Result.Message, resp.Warnings)
		}
		if have := pod.Annotations[inject.StatusAnnotation]; have != `{"version":"test","skipped":true}` {
			t.Errorf("status %s", have)
		}
		if len(pod.Spec.InitContainers) > 0 || pod.Labels[inject.InjectedLabel] != "" || pod.Spec.Containers[1].Command[0] != "/known" {
			t.Error("the pod was changed")
		}
	})
	t.Run("pitfall 22: an image that says nothing is refused whatever the operator wants", func(t *testing.T) {
		s.settings.SkipTrouble = true
		defer func() { s.settings.SkipTrouble = false }()
		s.letIn(t)
		silent := s.push(t, "silent:1", map[string]v1.Config{"linux/amd64": {}})
		resp, _ := s.create(t, func(main, _ *corev1.Container) { main.Image, main.Command = silent, nil })
		if resp.Allowed || !strings.Contains(resp.Result.Message, "neither ENTRYPOINT nor CMD") {
			t.Error(resp.Result.Message)
		}
	})
	if n := testutil.ToFloat64(s.metrics.reviews.WithLabelValues(denied, "command_unknown")); n != 3 {
		t.Errorf("%v reviews denied for a command that is not known, want 3", n)
	}
	if _, lookups := counted(t, s.reg); lookups["not_found"] == 0 {
		t.Error("no lookup counted as not found")
	}
}

func TestARegistryThatHangsHoldsNoAdmissionPastItsDeadline(t *testing.T) {
	s := newShop(t)
	s.sources.Timeout = 300 * time.Millisecond
	s.open(t, slog.New(slog.DiscardHandler))
	open := make(chan struct{})
	defer close(open)
	s.stuck.Store(&open)
	done := make(chan admission.Response)
	go func() {
		resp, _ := s.create(t, func(main, proxy *corev1.Container) {
			main.Image, main.Command = s.host+"/a:1", nil
			proxy.Image, proxy.Command = s.host+"/b:1", nil
		})
		done <- resp
	}()
	select {
	case resp := <-done:
		if resp.Allowed || strings.Count(resp.Result.Message, "koordinator needs the container's command") != 2 {
			t.Error(resp.Result.Message)
		}
	case <-time.After(10 * time.Second): // the API server's timeout
		t.Fatal("no answer")
	}
}
