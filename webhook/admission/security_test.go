package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"koordinator.io/koordinator/test/corpus"
)

// levels are the levels of Pod Security, the strictest first.
var levels = []api.Level{api.LevelRestricted, api.LevelBaseline, api.LevelPrivileged}

// level returns the strictest level that a pod meets, and why it does not meet
// the one before.
func level(t *testing.T, pod *corev1.Pod) (int, string) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	why := ""
	for i, l := range levels {
		results := evaluator.EvaluatePod(api.LevelVersion{Level: l, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
		result := policy.AggregateCheckResults(results)
		if result.Allowed {
			return i, why
		}
		why = result.ForbiddenDetail()
	}
	t.Fatalf("the pod is not even privileged: %s", why)
	return 0, ""
}

// checkSecurity fails if the injected pod meets a less strict level of Pod
// Security than the original pod. It may meet a stricter one: the wrapper runs a
// startup probe of another host in the container's network, instead of the kubelet
// in the node's.
func checkSecurity(t *testing.T, before, after []byte) {
	t.Helper()
	was, _ := level(t, decode(t, before))
	is, why := level(t, decode(t, after))
	if is > was {
		t.Errorf("Pod Security: it was %s and is %s: %s", levels[was], levels[is], why)
	}
}

func TestTheCorpusHasPodsOfEveryLevel(t *testing.T) {
	count := map[api.Level]int{}
	for _, template := range corpus.Templates() {
		l, why := level(t, template.Pod)
		count[levels[l]]++
		if template.Restricted && levels[l] != api.LevelRestricted {
			t.Errorf("%s is not restricted: %s", template.Name, why)
		}
	}
	for _, l := range levels {
		if count[l] < 30 {
			t.Errorf("%d templates are %s, want 30", count[l], l)
		}
	}
}
