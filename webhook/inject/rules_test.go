package inject_test

import (
	"testing"

	"koordinator.io/koordinator/test/sketch"
)

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
			want: `koordinator.io/start-deps: container "main": "a" is started again by its restartPolicyRules whenever it exits in such a way, so "a=succeeded" never comes true: wait for ready or started, or change the rules`,
		},
		{
			name: "exits that restart rules undo", pod: "Never main a/OnFailure+*", start: "main: a=exited",
			want: `koordinator.io/start-deps: container "main": "a" is started again by its restartPolicyRules whenever it exits in such a way, so "a=exited" never comes true: wait for ready or started, or change the rules`,
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
			want: `koordinator.io/start-deps: container "main": no container "cloudsql" in this pod (has: "main", "proxy")`,
		},
		{
			name: "for an unknown container", pod: "Never main proxy", stop: "cloudsql: main",
			want: `koordinator.io/stop-deps: container "cloudsql": no container "cloudsql" in this pod (has: "main", "proxy")`,
		},
		{
			name: "a name that Kubernetes does not allow", pod: "Never main A", start: "A: main=started",
			want: `container "A": invalid name: a container's name has at most 63 lowercase letters, digits and "-", and begins and ends with a letter or a digit`,
		},
		{
			name: "own-29 a cycle", pod: "Never a b c", start: "{a: b, b: c, c: a}",
			want: `koordinator.io/start-deps: container "a": cycle a → b → c → a: each waits for the next, so none ever starts: remove one of these dependencies`,
		},
		{
			name: "own-29 a cycle of holds", pod: "Never a b c", stop: "{a: b, b: c, c: a}",
			want: `koordinator.io/stop-deps: container "a": cycle a → b → c → a: each would stop only after the next has exited: remove one of these dependencies`,
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
			want: `koordinator.io/start-deps: container "a": "main" starts only after every init container, so the init container "a" would wait for ever: wait for an earlier init container, or remove it`,
		},
		{
			name: "a native sidecar waits for a later one", pod: "Always sidecar:a sidecar:b main", start: "a: b",
			want: `koordinator.io/start-deps: container "a": "b" comes after "a" in initContainers and starts only after it, so the wait would never end: swap the two, or remove it`,
		},
		{
			name: "an init container with a stop dependency", pod: "Never sidecar:a main", stop: "a: main",
			want: `koordinator.io/stop-deps: container "a": an init container cannot have stop dependencies, the kubelet would start it again: remove them`,
		},
		{
			name: "stopped by an init container", pod: "Never init:a main", stop: "main: a",
			want: `koordinator.io/stop-deps: container "main": "a" is an init container and has exited before "main" starts: remove it`,
		},
		{
			name: "stopped by a native sidecar", pod: "Never sidecar:a main", stop: "main: a",
			want: `koordinator.io/stop-deps: container "main": "a" is a native sidecar (an init container with restartPolicy: Always) and exits only after "main": remove it`,
		},
		{
			name: "the exit of what is restarted for ever", pod: "Always main proxy", start: "main: proxy=exited",
			want: `koordinator.io/start-deps: container "main": "proxy" is restarted for ever (restartPolicy: Always), so "proxy=exited" never comes true: wait for ready or started, or give it another restartPolicy`,
		},
		{
			name: "the exit of a native sidecar", pod: "Never sidecar:proxy main", start: "main: proxy=succeeded",
			want: `koordinator.io/start-deps: container "main": "proxy" is restarted for ever (restartPolicy: Always), so "proxy=succeeded" never comes true: wait for ready or started, or give it another restartPolicy`,
		},
		{
			name: "readiness of a plain init container", pod: "Never init:a main", start: "main: a",
			want: `koordinator.io/start-deps: container "main": "a" is an init container and is never ready: write "a=succeeded"`,
		},
		{
			name: "each after the other's exit", pod: "Never a b", start: "a: b=exited", stop: "b: a",
			want: `Warning: koordinator.io/start-deps: container "a": if "b" does not exit by itself, "a" never starts: it waits for b=exited indefinitely, and "b" is stopped only after "a" has exited (koordinator.io/stop-deps: container "b")`,
		},
		{
			name: "stopped as it starts", pod: "Never a b", start: "a: b=succeeded", stop: "a: b",
			want: `koordinator.io/start-deps: container "a": "a" starts after "b=succeeded" (a → b) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`,
		},
		{
			name: "stopped as it starts, at a distance", pod: "Never a b c", start: "{a: b, b: c=exited}", stop: "a: c",
			want: `koordinator.io/start-deps: container "a": "a" starts after "c=exited" (a → b → c) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`,
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
			var annotations []string
			if tt.start != "" {
				annotations = append(annotations, "start-deps", tt.start)
			}
			if tt.stop != "" {
				annotations = append(annotations, "stop-deps", tt.stop)
			}
			check(t, sketch.Pod(tt.pod, sketch.Annotations(annotations...)), tt.want)
		})
	}
}
