package admission

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// given shortens an annotation map for tests: names are without the prefix.
func given(pairs ...string) map[string]string {
	annotations := map[string]string{"other.io/x": "y"}
	for i := 0; i < len(pairs); i += 2 {
		annotations[inject.Prefix+pairs[i]] = pairs[i+1]
	}
	return annotations
}

// podOf makes a pod of words: the restart policy, then a container each, as
// "main", "init:migrate", "sidecar:proxy", with an own policy "main/Never", or
// with the exit codes after which it is started again "main/Never+1,2" ("*": all).
func podOf(t *testing.T, words string, annotations map[string]string) []byte {
	t.Helper()
	policy, names, _ := strings.Cut(words, " ")
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: annotations},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicy(policy)},
	}
	for word := range strings.FieldsSeq(names) {
		kind, name, found := strings.Cut(word, ":")
		if !found {
			kind, name = "", word
		}
		name, own, _ := strings.Cut(name, "/")
		own, codes, _ := strings.Cut(own, "+")
		if kind == "sidecar" {
			own = "Always"
		}
		c := corev1.Container{
			Name: name, Image: name, Command: []string{"/" + name},
			VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}},
		}
		if own != "" {
			c.RestartPolicy = new(corev1.ContainerRestartPolicy(own))
			c.RestartPolicyRules = restartRules(t, codes)
		}
		if kind == "" {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		} else {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		}
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// restartRules starts a container again after these exit codes.
func restartRules(t *testing.T, codes string) []corev1.ContainerRestartRule {
	t.Helper()
	when := &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpNotIn}
	switch codes {
	case "":
		return nil
	case "*":
	default:
		when.Operator = corev1.ContainerRestartRuleOnExitCodesOpIn
		for code := range strings.SplitSeq(codes, ",") {
			n, err := strconv.ParseInt(code, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			when.Values = append(when.Values, int32(n))
		}
	}
	return []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: when}}
}

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		start, stop string // annotations
		want        string // "" when it is fine
	}{
		{
			name: "started and ready in a Deployment", pod: "Always main proxy cache", start: "main: proxy, cache=started",
			want: `Warning: koordinator.io/start-deps: container "main": "proxy" has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write "proxy=started"`,
		},
		{name: "exited and succeeded in a Job", pod: "Never main proxy cache", start: "main: proxy=exited, cache=succeeded"},
		{name: "exits of a container with an own policy", pod: "Always main migrate/OnFailure", start: "main: migrate=succeeded"},
		{name: "exits that restart rules leave", pod: "Never main a/Never+1 b/Never+0", start: "main: a=succeeded, b=exited"},
		{
			name: "a success that restart rules undo", pod: "Never main a/Never+0,1", start: "main: a=succeeded",
			want: `422 koordinator.io/start-deps: container "main": "a" is started again by its restartPolicyRules whenever it exits in such a way, so "a=succeeded" never comes true: wait for ready or started, or change the rules`,
		},
		{
			name: "exits that restart rules undo", pod: "Never main a/OnFailure+*", start: "main: a=exited",
			want: `422 koordinator.io/start-deps: container "main": "a" is started again by its restartPolicyRules whenever it exits in such a way, so "a=exited" never comes true: wait for ready or started, or change the rules`,
		},
		{
			name: "a stop after an exit that restart rules undo", pod: "Never main a/Never+0", stop: "main: a=succeeded",
			want: `Warning: koordinator.io/stop-deps: container "main": "a=succeeded" only orders the shutdown: "a" is started again by its restartPolicyRules whenever it exits in such a way`,
		},
		{name: "a plain init container", pod: "Always init:a main", start: "main: a=started"},
		{name: "a plain init container succeeded", pod: "Always init:a main", start: "main: a=succeeded"},
		{
			name: "a native sidecar", pod: "Always sidecar:a main", start: "main: a",
			want: `Warning: koordinator.io/start-deps: container "main": "a" has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write "a=started"`,
		},
		{name: "an init container waits for an earlier sidecar", pod: "Never sidecar:a init:b main", start: "b: a=started"},
		{
			name: "who has no readiness probe is told of once", pod: "Never a b c d", start: "{a: d, b: d, c: 'd?'}",
			want: `Warning: koordinator.io/start-deps: container "a": "d" has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write "d=started"`,
		},
		{name: "a container that comes later", pod: "Never main", start: "main: istio-proxy", stop: "main: istio-proxy"},
		{
			name: "own-29 comp-12 an unknown container", pod: "Never main proxy", start: "main: cloudsql",
			want: `422 koordinator.io/start-deps: container "main": no container "cloudsql" in this pod (has: "main", "proxy")`,
		},
		{
			name: "for an unknown container", pod: "Never main proxy", stop: "cloudsql: main",
			want: `422 koordinator.io/stop-deps: container "cloudsql": no container "cloudsql" in this pod (has: "main", "proxy")`,
		},
		{
			name: "a name that Kubernetes does not allow", pod: "Never main A", start: "A: main=started",
			want: `422 container "A": invalid name: a container's name has at most 63 lowercase letters, digits and "-", and begins and ends with a letter or a digit`,
		},
		{
			name: "own-29 a cycle", pod: "Never a b c", start: "{a: b, b: c, c: a}",
			want: `422 koordinator.io/start-deps: container "a": cycle a → b → c → a: each waits for the next, so none ever starts: remove one of these dependencies`,
		},
		{
			name: "own-29 a cycle of holds", pod: "Never a b c", stop: "{a: b, b: c, c: a}",
			want: `422 koordinator.io/stop-deps: container "a": cycle a → b → c → a: each would stop only after the next has exited: remove one of these dependencies`,
		},
		{
			name: "ready while its stop dependency has exited", pod: "Never main proxy migrate", start: "main: proxy, migrate=succeeded", stop: "proxy: migrate",
			want: `Warning: koordinator.io/start-deps: container "main": "main" starts when "proxy" is ready and after "migrate=succeeded" (main → migrate), whose exit stops "proxy" (koordinator.io/stop-deps: container "proxy"): the two hardly ever hold at once: remove one of them` + "\n" +
				`Warning: koordinator.io/start-deps: container "main": "proxy" has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write "proxy=started"`,
		},
		{name: "started while another exit would stop it", pod: "Never main proxy migrate", start: "main: proxy=started, migrate=succeeded", stop: "proxy: migrate=failed, main"},
		{name: "two that stop with each other", pod: "Never a b", stop: "{a: b, b: a}"},
		{
			name: "an init container waits for a regular one", pod: "Never init:a main", start: "a: main",
			want: `422 koordinator.io/start-deps: container "a": "main" starts only after every init container, so the init container "a" would wait for ever: wait for an earlier init container, or remove it`,
		},
		{
			name: "a native sidecar waits for a later one", pod: "Always sidecar:a sidecar:b main", start: "a: b",
			want: `422 koordinator.io/start-deps: container "a": "b" comes after "a" in initContainers and starts only after it, so the wait would never end: swap the two, or remove it`,
		},
		{
			name: "an init container with a stop dependency", pod: "Never sidecar:a main", stop: "a: main",
			want: `422 koordinator.io/stop-deps: container "a": an init container cannot have stop dependencies, the kubelet would start it again: remove them`,
		},
		{
			name: "stopped by an init container", pod: "Never init:a main", stop: "main: a",
			want: `422 koordinator.io/stop-deps: container "main": "a" is an init container and has exited before "main" starts: remove it`,
		},
		{
			name: "stopped by a native sidecar", pod: "Never sidecar:a main", stop: "main: a",
			want: `422 koordinator.io/stop-deps: container "main": "a" is a native sidecar (an init container with restartPolicy: Always) and exits only after "main": remove it`,
		},
		{
			name: "the exit of what is restarted for ever", pod: "Always main proxy", start: "main: proxy=exited",
			want: `422 koordinator.io/start-deps: container "main": "proxy" is restarted for ever (restartPolicy: Always), so "proxy=exited" never comes true: wait for ready or started, or give it another restartPolicy`,
		},
		{
			name: "the exit of a native sidecar", pod: "Never sidecar:proxy main", start: "main: proxy=succeeded",
			want: `422 koordinator.io/start-deps: container "main": "proxy" is restarted for ever (restartPolicy: Always), so "proxy=succeeded" never comes true: wait for ready or started, or give it another restartPolicy`,
		},
		{
			name: "readiness of a plain init container", pod: "Never init:a main", start: "main: a",
			want: `422 koordinator.io/start-deps: container "main": "a" is an init container and is never ready: write "a=succeeded"`,
		},
		{
			name: "each after the other's exit", pod: "Never a b", start: "a: b=exited", stop: "b: a",
			want: `Warning: koordinator.io/start-deps: container "a": if "b" does not exit by itself, "a" never starts: it waits for b=exited indefinitely, and "b" is stopped only after "a" has exited (koordinator.io/stop-deps: container "b")`,
		},
		{
			name: "stopped as it starts", pod: "Never a b", start: "a: b=succeeded", stop: "a: b",
			want: `422 koordinator.io/start-deps: container "a": "a" starts after "b=succeeded" (a → b) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`,
		},
		{
			name: "stopped as it starts, at a distance", pod: "Never a b c", start: "{a: b, b: c=exited}", stop: "a: c",
			want: `422 koordinator.io/start-deps: container "a": "a" starts after "c=exited" (a → b → c) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`,
		},
		{name: "run only if another failed", pod: "Never a b", start: "a: b=exited", stop: "a: b=succeeded"},
		{
			name: "a stop dependency in a Deployment", pod: "Always main proxy", stop: "proxy: main",
			want: `Warning: koordinator.io/stop-deps: container "proxy": "main=exited" only orders the shutdown: "main" is restarted for ever (restartPolicy: Always)`,
		},
		{
			name: "a failure that is not for good", pod: "OnFailure main proxy", stop: "proxy: main=failed",
			want: `Warning: koordinator.io/stop-deps: container "proxy": "main=failed" never holds: "main" is restarted when it fails (restartPolicy: OnFailure)`,
		},
		{
			name: "stopped and started again", pod: "Never main proxy/Always", stop: "proxy: main",
			want: `Warning: koordinator.io/stop-deps: container "proxy": "proxy" is started again each time it was stopped (restartPolicy: Always)`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			annotations := map[string]string{}
			if tt.start != "" {
				annotations["koordinator.io/start-deps"] = tt.start
			}
			if tt.stop != "" {
				annotations["koordinator.io/stop-deps"] = tt.stop
			}
			resp := ask(t, podOf(t, tt.pod, annotations))
			if diff := cmp.Diff(tt.want, strings.TrimSpace(words(resp))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestValueForNobodyIsWarnedOf(t *testing.T) {
	resp := ask(t, podOf(t, "Never a", given("stop-timeout", "5s", "command", "a: [/a]", "mode", "a: exec", "gate", "false")))
	want := `Warning: koordinator.io/command: container "a": has no effect: container "a" has no dependency and no other setting, and nothing depends on it
Warning: koordinator.io/mode: container "a": has no effect: container "a" has no dependency and no other setting, and nothing depends on it
Warning: koordinator.io/gate: it is for every wrapped container, but none is: give a container a dependency
Warning: koordinator.io/stop-timeout: it is for every wrapped container, but none is: give a container a dependency
`
	const mark = `[{"op":"add","path":"/metadata/annotations/koordinator.io~1status","value":"{\"version\":\"test\",\"reason\":\"nothing_to_wrap\"}"}]`
	if diff := cmp.Diff(want, words(resp)); diff != "" || string(resp.Patch) != mark {
		t.Errorf("patch %s, words (-want +have):\n%s", resp.Patch, diff)
	}
}
