package inject_test

import (
	"testing"

	"koordinator.io/koordinator/test/sketch"
)

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		start, stop string // annotations
		want        string // "" if there is no message
	}{
		{
			name: "started and ready in a Deployment", pod: "Always main proxy cache", start: "main: proxy, cache=started",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: "proxy" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe, or write "proxy=started" [KO219]`,
		},
		{name: "exited and succeeded in a Job", pod: "Never main proxy cache", start: "main: proxy=exited, cache=succeeded"},
		{name: "exits of a container with an own policy", pod: "Always main migrate/OnFailure", start: "main: migrate=succeeded"},
		{name: "exits that restart rules leave", pod: "Never main a/Never+1 b/Never+0", start: "main: a=succeeded, b=exited"},
		{
			name: "a success that restart rules undo", pod: "Never main a/Never+0,1", start: "main: a=succeeded",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "a" restarts after every such exit (restartPolicyRules), so "a=succeeded" is never met. Wait for ready or started, or change the rules [KO213]`,
		},
		{
			name: "exits that restart rules undo", pod: "Never main a/OnFailure+*", start: "main: a=exited",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "a" restarts after every such exit (restartPolicyRules), so "a=exited" is never met. Wait for ready or started, or change the rules [KO213]`,
		},
		{
			name: "a stop after an exit that restart rules undo", pod: "Never main a/Never+0", stop: "main: a=succeeded",
			want: `Warning: metadata.annotations[koordinator.io/stop-deps][main]: "a=succeeded" does not stop "main" at run time, because the restartPolicyRules of "a" restart it after every such exit; it only affects the order when the pod is deleted [KO216]`,
		},
		{name: "a plain init container", pod: "Always init:a main", start: "main: a=started"},
		{name: "a plain init container succeeded", pod: "Always init:a main", start: "main: a=succeeded"},
		{
			name: "a native sidecar", pod: "Always sidecar:a main", start: "main: a",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: "a" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe, or write "a=started" [KO219]`,
		},
		{name: "an init container waits for an earlier sidecar", pod: "Never sidecar:a init:b main", start: "b: a=started"},
		{
			name: "who has no readiness probe is told of once", pod: "Never a b c d", start: "{a: d, b: d, c: 'd?'}",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][a]: "d" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe, or write "d=started" [KO219]`,
		},
		{name: "a container that comes later", pod: "Never main", start: "main: istio-proxy", stop: "main: istio-proxy"},
		{
			name: "own-29 comp-12 an unknown container", pod: "Never main proxy", start: "main: cloudsql",
			want: `metadata.annotations[koordinator.io/start-deps][main]: this pod has no container "cloudsql" (it has "main", "proxy"). Correct the name, or remove it [KO201]`,
		},
		{
			name: "for an unknown container", pod: "Never main proxy", stop: "cloudsql: main",
			want: `metadata.annotations[koordinator.io/stop-deps][cloudsql]: this pod has no container "cloudsql" (it has "main", "proxy"). Correct the name, or remove it [KO201]`,
		},
		{
			name: "a name that Kubernetes does not allow", pod: "Never main A", start: "A: main=started",
			want: `spec.containers[A].name: koordinator cannot run a container with an invalid name. Use at most 63 lowercase letters, digits and "-", with a letter or digit at both ends [KO314]`,
		},
		{
			name: "an unknown restart policy of the pod", pod: "OnFairule main proxy", start: "main: proxy=started",
			want: `spec.restartPolicy: "OnFairule" is not a restart policy. Use Always, OnFailure or Never [KO119]`,
		},
		{
			name: "unknown restart policies of containers", pod: "Never init:first/always main proxy/Sometimes", start: "main: proxy=started",
			want: `spec.initContainers[first].restartPolicy: "always" is not a restart policy. Use Always, OnFailure or Never [KO119]` + "\n" +
				`spec.containers[proxy].restartPolicy: "Sometimes" is not a restart policy. Use Always, OnFailure or Never [KO119]`,
		},
		{
			name: "own-29 a cycle", pod: "Never a b c", start: "{a: b, b: c, c: a}",
			want: `metadata.annotations[koordinator.io/start-deps][a]: these containers wait for each other in a cycle, so none of them can start: a → b → c → a. Remove one of these dependencies [KO203]`,
		},
		{
			name: "own-29 a cycle of holds", pod: "Never a b c", stop: "{a: b, b: c, c: a}",
			want: `metadata.annotations[koordinator.io/stop-deps][a]: these containers depend on each other in a cycle, so none of them can stop first: a → b → c → a. Remove one of these dependencies [KO204]`,
		},
		{
			name: "ready while its stop dependency has exited", pod: "Never main proxy migrate", start: "main: proxy, migrate=succeeded", stop: "proxy: migrate",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: "main" rarely starts: it waits until "proxy" is ready, and for "migrate=succeeded" (main → migrate), which stops "proxy" (koordinator.io/stop-deps). Remove one of these dependencies [KO207]` + "\n" +
				`Warning: metadata.annotations[koordinator.io/start-deps][main]: "proxy" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe, or write "proxy=started" [KO219]`,
		},
		{name: "started while another exit would stop it", pod: "Never main proxy migrate", start: "main: proxy=started, migrate=succeeded", stop: "proxy: migrate=failed, main"},
		{name: "two that stop with each other", pod: "Never a b", stop: "{a: b, b: a}"},
		{
			name: "an init container waits for a regular one", pod: "Never init:a main", start: "a: main",
			want: `metadata.annotations[koordinator.io/start-deps][a]: "main" starts only after every init container, so the init container "a" would wait indefinitely. Wait for an earlier init container, or remove the dependency [KO211]`,
		},
		{
			name: "a native sidecar waits for a later one", pod: "Always sidecar:a sidecar:b main", start: "a: b",
			want: `metadata.annotations[koordinator.io/start-deps][a]: "b" comes after "a" in initContainers and starts only after it, so "a" would wait indefinitely. Swap the two, or remove the dependency [KO211]`,
		},
		{
			name: "an init container with a stop dependency", pod: "Never sidecar:a main", stop: "a: main",
			want: `metadata.annotations[koordinator.io/stop-deps][a]: the init container "a" cannot have stop dependencies, because the kubelet would start it again. Remove them [KO214]`,
		},
		{
			name: "stopped by an init container", pod: "Never init:a main", stop: "main: a",
			want: `metadata.annotations[koordinator.io/stop-deps][main]: "a" is an init container and exits before "main" starts. Remove the dependency [KO215]`,
		},
		{
			name: "stopped by a native sidecar", pod: "Never sidecar:a main", stop: "main: a",
			want: `metadata.annotations[koordinator.io/stop-deps][main]: "a" is a native sidecar (an init container with restartPolicy: Always) and exits only after "main". Remove the dependency [KO215]`,
		},
		{
			name: "the exit of what is restarted for ever", pod: "Always main proxy", start: "main: proxy=exited",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "proxy" always restarts (restartPolicy: Always), so "proxy=exited" is never met. Wait for ready or started, or set another restartPolicy [KO213]`,
		},
		{
			name: "the exit of a native sidecar", pod: "Never sidecar:proxy main", start: "main: proxy=succeeded",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "proxy" always restarts (restartPolicy: Always), so "proxy=succeeded" is never met. Wait for ready or started, or set another restartPolicy [KO213]`,
		},
		{
			name: "readiness of a plain init container", pod: "Never init:a main", start: "main: a",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "a" is an init container, and an init container never becomes ready. Write "a=succeeded" [KO212]`,
		},
		{
			name: "each after the other's exit", pod: "Never a b", start: "a: b=exited", stop: "b: a",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][a]: if "b" does not exit by itself, "a" never starts: it waits for b=exited indefinitely, and "b" is stopped only after "a" has exited (koordinator.io/stop-deps). Set start-timeout, or change one of these dependencies [KO209]`,
		},
		{
			name: "stopped as it starts", pod: "Never a b", start: "a: b=succeeded", stop: "a: b",
			want: `metadata.annotations[koordinator.io/start-deps][a]: "a" would be stopped when it starts: it starts after "b=succeeded" (a → b), which also stops it (koordinator.io/stop-deps). Remove one of these dependencies [KO206]`,
		},
		{
			name: "stopped as it starts, at a distance", pod: "Never a b c", start: "{a: b, b: c=exited}", stop: "a: c",
			want: `metadata.annotations[koordinator.io/start-deps][a]: "a" would be stopped when it starts: it starts after "c=exited" (a → b → c), which also stops it (koordinator.io/stop-deps). Remove one of these dependencies [KO206]`,
		},
		{name: "run only if another failed", pod: "Never a b", start: "a: b=exited", stop: "a: b=succeeded"},
		{
			name: "a stop dependency in a Deployment", pod: "Always main proxy", stop: "proxy: main",
			want: `Warning: metadata.annotations[koordinator.io/stop-deps][proxy]: "main=exited" does not stop "proxy" at run time, because "main" always restarts (restartPolicy: Always); it only affects the order when the pod is deleted [KO216]`,
		},
		{
			name: "a failure that is not for good", pod: "OnFailure main proxy", stop: "proxy: main=failed",
			want: `Warning: metadata.annotations[koordinator.io/stop-deps][proxy]: "main=failed" is never met, because "main" restarts when it fails (restartPolicy: OnFailure). Remove the dependency, or set restartPolicy: Never [KO217]`,
		},
		{
			name: "stopped and started again", pod: "Never main proxy/Always", stop: "proxy: main",
			want: `Warning: metadata.annotations[koordinator.io/stop-deps][proxy]: "proxy" restarts after each stop (restartPolicy: Always) [KO218]`,
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
