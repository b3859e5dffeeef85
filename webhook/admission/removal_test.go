package admission

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkRemoval fails unless a pod without koordinator's parts equals the original
// pod.
func checkRemoval(t *testing.T, before, after []byte) {
	t.Helper()
	var was, is map[string]any
	for _, err := range []error{json.Unmarshal(before, &was), json.Unmarshal(after, &is)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	asked, _ := annotations.Read(decode(t, before).ObjectMeta, nil)
	r := removal{t: t, specs: specsOf(t, after), asked: asked.Wishes}
	r.pod(was, is)
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("without what is ours it is not what it was (-before +now):\n%s", diff)
	}
}

// specsOf returns the specs of the wrapped containers, by name.
func specsOf(t *testing.T, after []byte) map[string]spec.Spec {
	t.Helper()
	pod, all := decode(t, after), map[string]spec.Spec{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if s, err := spec.Parse(environ(c)[spec.Env]); err == nil && s.Container != "" {
			all[c.Name] = s
		}
	}
	return all
}

// removal removes koordinator's parts from a pod and restores what koordinator
// took over, if it is recorded in the specs.
type removal struct {
	t     *testing.T
	specs map[string]spec.Spec // by container
	asked map[string]inject.Wish
}

// pod removes koordinator's parts from the pod and its containers.
func (r removal) pod(was, is map[string]any) {
	metaWas, metaIs := was["metadata"].(map[string]any), is["metadata"].(map[string]any)
	r.key(metaWas, metaIs, "labels", inject.InjectedLabel)
	r.key(metaWas, metaIs, "annotations", inject.StatusAnnotation)
	specWas, specIs := was["spec"].(map[string]any), is["spec"].(map[string]any)
	ours := regexp.MustCompile(`^koordinator-(install|bin|record|podinfo|api)$`)
	r.named(specWas, specIs, "volumes", ours)
	r.named(specWas, specIs, "initContainers", ours)
	for _, list := range []string{"initContainers", "containers"} {
		all, _ := specIs[list].([]any)
		for i := range all {
			before, now := specWas[list].([]any)[i].(map[string]any), all[i].(map[string]any)
			if s, wrapped := r.specs[fmt.Sprint(now["name"])]; wrapped {
				r.container(s, before, now)
			}
		}
	}
}

// container reverts the wrapping of a container.
func (r removal) container(s spec.Spec, was, is map[string]any) {
	r.command(s, was, is)
	r.named(was, is, "env", regexp.MustCompile(`^KOORDINATOR_`))
	r.named(was, is, "volumeMounts", regexp.MustCompile(`^koordinator-`))
	r.startupProbe(s, was, is)
	r.answered(s, was, is, "livenessProbe", spec.LivenessProbe, s.Liveness)
	r.answered(s, was, is, "readinessProbe", spec.ReadinessProbe, s.Readiness)
	r.environ(s, is)
	if cycle, found := is["lifecycle"].(map[string]any); found {
		r.hooks(s, was["lifecycle"].(map[string]any), cycle)
	}
}

// command removes the wrapper before the real command. A command from the
// annotation has replaced command and args, which are restored.
func (r removal) command(s spec.Spec, was, is map[string]any) {
	words := is["command"].([]any)
	if len(words) < 3 || words[0] != spec.Binary || words[1] != "--" {
		r.t.Errorf("%s runs %q", s.Container, words)
		return
	}
	is["command"] = words[2:]
	annotated := r.asked[s.Container].Command
	if annotated == nil {
		return
	}
	if text := fmt.Sprintf("%q", words[2:]); text != fmt.Sprintf("%q", annotated) || is["args"] != nil {
		r.t.Errorf("%s runs %s and args %q, not %q", s.Container, text, is["args"], annotated)
	}
	for _, key := range []string{"command", "args"} {
		restore(was, is, key)
	}
}

// startupProbe removes the gate and restores the probe that the gate runs. The
// thresholds must still be there.
func (r removal) startupProbe(s spec.Spec, was, is map[string]any) {
	gate, _ := is["startupProbe"].(map[string]any)
	exec, _ := gate["exec"].(map[string]any)
	if fmt.Sprint(exec["command"]) != fmt.Sprintf("[%s gate]", spec.Binary) {
		return
	}
	own, found := was["startupProbe"].(map[string]any)
	if !found {
		delete(is, "startupProbe")
		return
	}
	if s.StartupProbe == nil || s.StartupProbe.InitialDelaySeconds != number(own["initialDelaySeconds"]) ||
		s.StartupProbe.TimeoutSeconds != number(own["timeoutSeconds"]) {
		r.t.Errorf("%s: of the startup probe %v only %v is written down", s.Container, own, s.StartupProbe)
	}
	for _, key := range []string{"exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds"} {
		restore(own, gate, key)
	}
}

// answered removes the probes that run koordinator and restores the probes that
// koordinator runs instead. The thresholds must still be there.
func (r removal) answered(s spec.Spec, was, is map[string]any, place, kind string, taken *spec.Probe) {
	probe, _ := is[place].(map[string]any)
	exec, _ := probe["exec"].(map[string]any)
	if fmt.Sprint(exec["command"]) != fmt.Sprintf("[%s probe %s]", spec.Binary, kind) {
		return
	}
	own, found := was[place].(map[string]any)
	if !found {
		delete(is, place)
		return
	}
	if taken == nil || max(1, taken.TimeoutSeconds) != max(1, number(own["timeoutSeconds"])) {
		r.t.Errorf("%s: of the %s %v only %v is written down", s.Container, place, own, taken)
	}
	if have, want := number(probe["timeoutSeconds"]), max(1, number(own["timeoutSeconds"]))+1; have != want {
		r.t.Errorf("%s: the kubelet waits %d s for the %s, want %d", s.Container, have, place, want)
	}
	for _, key := range []string{"exec", "httpGet", "tcpSocket", "grpc", "timeoutSeconds"} {
		restore(own, probe, key)
	}
}

// environ restores the variables that are withheld for the command.
func (r removal) environ(s spec.Spec, is map[string]any) {
	all, _ := is["env"].([]any)
	for _, item := range all {
		variable := item.(map[string]any)
		if kept, found := s.Environ[fmt.Sprint(variable["name"])]; found {
			variable["value"] = strings.ReplaceAll(kept, "$", "$$")
		}
	}
}

// hooks restores the hooks that koordinator runs, if the spec contains them.
func (r removal) hooks(s spec.Spec, was, is map[string]any) {
	if was["postStart"] != nil && is["postStart"] == nil {
		r.hook(s, was["postStart"].(map[string]any), s.PostStart)
		restore(was, is, "postStart")
	}
	if !reflect.DeepEqual(was["preStop"], is["preStop"]) {
		if text := fmt.Sprint(is["preStop"]); text != fmt.Sprintf("map[exec:map[command:[%s prestop]]]", spec.Binary) {
			r.t.Errorf("%s: the preStop hook is %s", s.Container, text)
		}
		r.hook(s, was["preStop"].(map[string]any), s.PreStop)
		restore(was, is, "preStop")
	}
}

// hook fails unless the spec contains a hook in its original form.
func (r removal) hook(s spec.Spec, was map[string]any, is *spec.Handler) {
	written := map[string]any{}
	if is != nil && is.Exec != nil {
		written["exec"] = fmt.Sprint(is.Exec.Command)
	}
	if is != nil && is.HTTP != nil {
		written["httpGet"] = is.HTTP.Path
	}
	if is != nil && is.Sleep != nil {
		written["sleep"] = fmt.Sprint(is.Sleep.Seconds)
	}
	want := map[string]any{}
	for kind, key := range map[string]string{"exec": "command", "httpGet": "path", "sleep": "seconds"} {
		if action, found := was[kind].(map[string]any); found {
			want[kind] = fmt.Sprint(action[key])
		}
	}
	if diff := cmp.Diff(want, written); diff != "" {
		r.t.Errorf("%s: a hook is written down otherwise (-hook +written):\n%s", s.Container, diff)
	}
}

// number returns a number of a JSON object, or 0 if it is missing.
func number(v any) int {
	f, _ := v.(float64)
	return int(f)
}

// restore restores the original value of a member.
func restore(was, is map[string]any, key string) {
	if value, found := was[key]; found {
		is[key] = value
	} else {
		delete(is, key)
	}
}

// named removes elements with matching names from a list. It also removes the
// list if it is empty and was not in the original.
func (r removal) named(was, is map[string]any, key string, ours *regexp.Regexp) {
	all, found := is[key].([]any)
	if !found {
		return
	}
	all = slices.DeleteFunc(all, func(item any) bool { return ours.MatchString(fmt.Sprint(item.(map[string]any)["name"])) })
	is[key] = all
	if len(all) == 0 {
		restore(was, is, key)
	}
}

// key removes a key from a map. It also removes the map if it is empty and was
// not in the original.
func (r removal) key(was, is map[string]any, name, key string) {
	entries, found := is[name].(map[string]any)
	if !found || entries[key] == nil {
		r.t.Errorf("no %s %s", name, key)
		return
	}
	delete(entries, key)
	if len(entries) == 0 {
		restore(was, is, name)
	}
}
