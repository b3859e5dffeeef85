package inject_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestWhoTakesPart(t *testing.T) {
	for _, tt := range []struct {
		name, pod string
		pairs     []string
		want      []string
	}{
		{"nobody", "Never main proxy", nil, nil},
		{"who waits, and who is waited for", "Never main proxy log", []string{"start-deps", "main: proxy=started"}, []string{"main", "proxy"}},
		{"who is stopped, and by whom", "Never main proxy log", []string{"stop-deps", "proxy: main"}, []string{"main", "proxy"}},
		{"who has a setting of its own", "Never main proxy", []string{"stop-delay", "main: 1s"}, []string{"main"}},
		{"not for a setting that says only how", "Never main proxy", []string{"mode", "main: exec", "log-level", "debug"}, nil},
		{"not for a setting of all", "Never main proxy", []string{"stop-timeout", "5s"}, nil},
		{"no init container that has ended by then", "Never init:migrate main", []string{"start-deps", "main: migrate=succeeded"}, []string{"main"}},
		{"an init container that waits", "Never sidecar:proxy init:migrate main", []string{"start-deps", "migrate: proxy=started"}, []string{"proxy", "migrate"}},
		{"nobody whom another webhook adds", "Never main istio-proxy", []string{"start-deps", "main: istio-proxy"}, []string{"main"}},
		{"whose stop others carry out", "Never main istio-proxy", []string{"start-deps", "main: istio-proxy", "stop-deps", "istio-proxy: main"}, []string{"main"}},
		{"unless it is asked to", "Never main istio-proxy", []string{"stop-deps", "istio-proxy: main", "stop-delay", "istio-proxy: 1s"}, []string{"main", "istio-proxy"}},
		{"all beside an essential one", "Never init:migrate main proxy log", []string{"essential", "main"}, []string{"main", "proxy", "log"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			completed := inject.Complete(plan(sketch.Pod(tt.pod, sketch.Annotations(tt.pairs...))), inject.Found{})
			if !slices.Equal(completed.Wrapped, tt.want) || len(completed.Problems) > 0 {
				t.Errorf("%q, want %q: %s", completed.Wrapped, tt.want, words(completed.Notes))
			}
			if patch := inject.Rewrite(completed); (len(patch) > 0) != (len(tt.want) > 0) {
				t.Errorf("patch %v", patch)
			}
		})
	}
}

func TestSettingsOfNobodyAreWarnedOf(t *testing.T) {
	pod := sketch.Pod("Never a", sketch.Annotations("stop-timeout", "5s", "command", "a: [/a]", "mode", "a: exec", "gate", "false"))
	check(t, pod, strings.Join([]string{
		`Warning: metadata.annotations[koordinator.io/command][a]: the setting has no effect, because "a" has no dependency and no other setting, and no container depends on it. Remove it, or add a dependency [KO225]`,
		`Warning: metadata.annotations[koordinator.io/mode][a]: the setting has no effect, because "a" has no dependency and no other setting, and no container depends on it. Remove it, or add a dependency [KO225]`,
		`Warning: metadata.annotations[koordinator.io/gate]: the setting has no effect, because it applies to containers that run under koordinator, and this pod has none. Add a dependency to a container [KO226]`,
		`Warning: metadata.annotations[koordinator.io/stop-timeout]: the setting has no effect, because it applies to containers that run under koordinator, and this pod has none. Add a dependency to a container [KO226]`,
	}, "\n"))
}

// Settings for every container also apply to containers that are only
// dependencies of others.
func TestSettingsOfAllAreThoseOfEachMember(t *testing.T) {
	specs := specsOf(t, sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "stop-timeout", "5s")))
	for _, name := range []string{"main", "proxy"} {
		if have := specs[name].StopTimeout; have.Seconds() != 5 {
			t.Errorf("%s: %s", name, have)
		}
	}
}

func TestWhoHoldsForWhom(t *testing.T) {
	pod := sketch.Pod("Never sidecar:log main proxy", sketch.Annotations("start-deps", "{main: [proxy=started, log=started], log: []}", "stop-deps", "proxy: main"))
	specs := specsOf(t, pod)
	for name, want := range map[string][]string{"main": nil, "proxy": {"main"}, "log": nil} {
		if have := specs[name].HoldFor; !slices.Equal(have, want) {
			t.Errorf("%s holds for %q, want %q", name, have, want)
		}
	}
}

// koordinator mounts its own API token only where one is needed.
func TestWhoGetsAToken(t *testing.T) {
	pod := sketch.Pod("Never main proxy log", sketch.Annotations("start-deps", "{main: proxy=started, log: proxy=started}", "source", "main: pod"))
	pod.Spec.Containers[0].VolumeMounts, pod.Spec.Containers[1].VolumeMounts = nil, nil
	after := injectedBy(t, testSettings(), pod)
	var have []string
	for _, c := range after.Spec.Containers {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == spec.OwnAPIAccess }) {
			have = append(have, c.Name)
		}
	}
	if !slices.Equal(have, []string{"main"}) {
		t.Errorf("%q, want main", have)
	}
	isToken := func(v corev1.Volume) bool { return v.Name == inject.APIVolume }
	if !slices.ContainsFunc(after.Spec.Volumes, isToken) {
		t.Error("there is no volume for it")
	}
	others := injected(t, "Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "source", "pod"))
	if slices.ContainsFunc(others.Spec.Volumes, isToken) {
		t.Error("there is a volume where every container has a token")
	}
}

// The status annotation shows if no container sends requests to the API server.
func TestTheStatusOfAPodThatAsksNobody(t *testing.T) {
	for value, want := range map[string]string{
		"local":       `{"version":"test","wrapped":["main","proxy"],"source":"local"}`,
		"main: local": `{"version":"test","wrapped":["main","proxy"]}`,
	} {
		pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "source", value))
		after := injectedBy(t, testSettings(), pod)
		if have := after.Annotations[inject.StatusAnnotation]; have != want {
			t.Errorf("source %s: status %s, want %s", value, have, want)
		}
		if have := after.Labels[inject.InjectedLabel]; have != "true" {
			t.Errorf("the label is %q", have)
		}
	}
}

// A command from the annotation is complete.
func TestTheCommandOfTheAnnotationReplacesArgsToo(t *testing.T) {
	for _, command := range [][]string{nil, {"/old"}} {
		t.Run(fmt.Sprint(command), func(t *testing.T) {
			pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "command", "main: [/new, --flag]"))
			pod.Spec.Containers[0].Command, pod.Spec.Containers[0].Args = command, []string{"--old"}
			after := injectedBy(t, testSettings(), pod)
			main := after.Spec.Containers[0]
			if want := []string{spec.Binary, "--", "/new", "--flag"}; !slices.Equal(main.Command, want) || len(main.Args) > 0 {
				t.Errorf("command %q, args %q", main.Command, main.Args)
			}
			unchanged(t, after)
		})
	}
}

// A variable of the Go runtime stays with the command in a second call. It is
// also withheld again if its value changes between the two calls.
func TestVariablesOfTheGoRuntimeInASecondCall(t *testing.T) {
	pod := sketch.Pod("Never main proxy", sketch.Annotations("stop-deps", "main: proxy"))
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "GOGC", Value: "50"}}
	after := injectedBy(t, testSettings(), pod)
	if have := after.Spec.Containers[0].Env[0].Value; have != "" {
		t.Errorf("the wrapper gets %q", have)
	}
	unchanged(t, after)
	after.Spec.Containers[0].Env[0].Value = "70"
	again := injectedBy(t, testSettings(), after)
	if have := specsWithin(t, again)["main"].Environ["GOGC"]; have != "70" || again.Spec.Containers[0].Env[0].Value != "" {
		t.Errorf("the command gets %q, the wrapper %q", have, again.Spec.Containers[0].Env[0].Value)
	}
}

// A variable that other fields refer to stays unchanged.
func TestVariablesOfTheGoRuntimeThatOthersReferTo(t *testing.T) {
	exec := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "echo $(GOGC)"}}}, TimeoutSeconds: 1, SuccessThreshold: 1}
	for name, change := range map[string]func(main *corev1.Container){
		"args":            func(main *corev1.Container) { main.Args = []string{"--gc=$(GOGC)"} },
		"a variable":      func(main *corev1.Container) { main.Env = append(main.Env, corev1.EnvVar{Name: "GC", Value: "$(GOGC)"}) },
		"a probe":         func(main *corev1.Container) { main.LivenessProbe = exec },
		"a startup probe": func(main *corev1.Container) { main.StartupProbe = exec },
	} {
		t.Run(name, func(t *testing.T) {
			pod := sketch.Pod("Never main proxy", sketch.Annotations("stop-deps", "main: proxy"))
			pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "GOGC", Value: "50"}}
			change(&pod.Spec.Containers[0])
			after := injectedBy(t, testSettings(), pod)
			if have := after.Spec.Containers[0].Env[0].Value; have != "50" || len(specsWithin(t, after)["main"].Environ) > 0 {
				t.Errorf("it is %q", have)
			}
		})
	}
}

// In a pod that is too large to be explored, pairs of dependencies are compared.
func TestB4PairsOfALargePod(t *testing.T) {
	names := "main proxy migrate"
	deps := []string{"main: [proxy, migrate=exited]"}
	for i := range 20 {
		names += fmt.Sprintf(" x%d", i)
		deps = append(deps, fmt.Sprintf("x%d: migrate=started", i))
	}
	const place = `Warning: metadata.annotations[koordinator.io/start-deps][main]: `
	for stop, want := range map[string]string{
		"proxy: migrate": place + `"main" rarely starts: it waits until "proxy" is ready, and for "migrate=exited" (main → migrate), which stops "proxy" (koordinator.io/stop-deps). Remove one of these dependencies [KO207]`,
		"migrate: main":  place + `if "migrate" does not exit by itself, "main" never starts: it starts only after "migrate=exited" (main → migrate), and "migrate" is stopped only after "main" has exited (koordinator.io/stop-deps). Remove one of these dependencies [KO209]`,
	} {
		pod := sketch.Pod("Never "+names, sketch.Annotations("start-deps", "{"+strings.Join(deps, ", ")+"}", "stop-deps", stop))
		check(t, pod, want+"\n"+place+`"proxy" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe, or write "proxy=started" [KO219]`)
	}
}
