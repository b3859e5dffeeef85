package admission

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/test/corpus"
	"koordinator.io/koordinator/wrapper/spec"
)

// TestCorpus injects every template and checks that all of this holds for each.
func TestCorpus(t *testing.T) {
	for _, template := range corpus.Templates() {
		t.Run(template.Name, func(t *testing.T) {
			before := sent(t, template.Pod)
			resp := ask(t, before)
			if !resp.Allowed || resp.Patch == nil {
				t.Fatalf("not injected: %s\n%s", words(resp), before)
			}
			after := patched(t, before, resp)
			checkSecondCall(t, resp, ask(t, after))
			checkOperations(t, before, resp)
			checkSpecs(t, after)
			checkRemoval(t, before, after)
			checkDecoding(t, before, resp)
			checkUnknownFields(t, before)
			checkUntouched(t, before)
			checkSecurity(t, before, after)
		})
	}
}

// checkSecondCall fails unless the second call makes no change and reports
// nothing new. The second call can no longer see that a command was replaced.
func checkSecondCall(t *testing.T, first, second admission.Response) {
	t.Helper()
	if !second.Allowed || second.Patch != nil {
		t.Errorf("the second call is no no-op: patch %s, words %q", second.Patch, words(second))
	}
	for _, warning := range second.Warnings {
		if !slices.Contains(first.Warnings, warning) {
			t.Errorf("only the second call warns: %s", warning)
		}
	}
}

// sent returns a pod as the API server sends it: with the service account's
// token, which it mounts before it calls the webhook.
func sent(t *testing.T, pod *corev1.Pod) []byte {
	t.Helper()
	if mount := pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "kube-api-access-x7k2p", VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}},
		}})
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: "kube-api-access-x7k2p", MountPath: spec.APIAccess, ReadOnly: true})
			}
		}
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// ownPaths matches the paths that a patch may add or remove, provided that the
// path ends with one of koordinator's names or belongs to a container.
var ownPaths = regexp.MustCompile(`^(` + strings.Join([]string{
	`/metadata/labels(/koordinator\.io~1injected)?`,
	`/metadata/annotations(/koordinator\.io~1status)?`,
	`/spec/volumes(/-)?`,
	`/spec/initContainers(/0)?`,
	`/spec/(initContainers|containers)/\d+/(command|args|(env|volumeMounts)(/-)?|env/\d+/value|(startup|liveness|readiness)Probe(/\w+)*|lifecycle/(postStart|preStop(/\w+)*))`,
}, "|") + `)$`)

// checkOperations fails unless a patch only adds and removes koordinator's own
// parts, and never replaces a list or map that is not empty.
func checkOperations(t *testing.T, before []byte, resp admission.Response) {
	t.Helper()
	var pod any
	var operations []struct{ Op, Path string }
	for _, err := range []error{json.Unmarshal(before, &pod), json.Unmarshal(resp.Patch, &operations)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	whole := regexp.MustCompile(`/(labels|annotations|volumes|initContainers|env|volumeMounts)$`)
	for _, o := range operations {
		if o.Op != "add" && o.Op != "remove" || !ownPaths.MatchString(o.Path) {
			t.Errorf("%s %s is none of ours", o.Op, o.Path)
		}
		if o.Op == "remove" && !strings.HasSuffix(o.Path, "/args") && !takesOver.MatchString(o.Path) {
			t.Errorf("%s is removed", o.Path)
		}
		if whole.MatchString(o.Path) && at(pod, o.Path) != nil {
			t.Errorf("%s is written over", o.Path)
		}
	}
}

// takesOver matches the members that a patch removes because koordinator takes
// over their function.
var takesOver = regexp.MustCompile(`/startupProbe/initialDelaySeconds$|/(startup|liveness|readiness)Probe/(httpGet|tcpSocket|grpc)$|/lifecycle/(postStart|preStop/(httpGet|sleep))$`)

// at returns the value at a JSON pointer without escapes, or nil if there is
// none.
func at(v any, pointer string) any {
	for _, part := range strings.Split(pointer, "/")[1:] {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

// checkSpecs fails unless the wrapper can parse every spec and reads what was
// written, including $.
func checkSpecs(t *testing.T, after []byte) {
	t.Helper()
	pod := decode(t, after)
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		text, wrapped := environ(c)[spec.Env]
		if wrapped != (len(c.Command) > 0 && c.Command[0] == spec.Binary) {
			t.Errorf("%s has a spec (%t) or is wrapped, not both", c.Name, wrapped)
		}
		if !wrapped {
			continue
		}
		s, err := spec.Parse(text)
		if err != nil || s.Container != c.Name {
			t.Errorf("%s: %v in %s", c.Name, err, text)
		}
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == spec.Env })
		if c.Env[i].Value != strings.ReplaceAll(text, "$", "$$") {
			t.Errorf("%s: the kubelet makes %s of %s", c.Name, text, c.Env[i].Value)
		}
	}
}

// references matches what the kubelet expands in the values of variables.
var references = regexp.MustCompile(`\$\$|\$\([^)]*\)`)

// environ returns a container's environment as the kubelet creates it: $(NAME) is
// replaced by an earlier variable, if there is one, and $$ by $.
func environ(c corev1.Container) map[string]string {
	values := map[string]string{}
	for _, e := range c.Env {
		values[e.Name] = references.ReplaceAllStringFunc(e.Value, func(ref string) string {
			if ref == "$$" {
				return "$"
			}
			if value, known := values[ref[2:len(ref)-1]]; known {
				return value
			}
			return ref
		})
	}
	return values
}

func decode(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

// checkDecoding fails unless the patch has the same effect on the original bytes
// as on a decoded and re-encoded pod.
func checkDecoding(t *testing.T, before []byte, resp admission.Response) {
	t.Helper()
	anew, err := json.Marshal(decode(t, before))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decode(t, patched(t, before, resp)), decode(t, patched(t, anew, resp))); diff != "" {
		t.Errorf("patched as sent and as written anew it differs (-sent +anew):\n%s", diff)
	}
}
