package filter

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	ctrladmission "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// Webhook injects pods as an installed webhook would.
type Webhook struct {
	Rules     []rules.Rule // rules of the installation; Webhook ignores whether a namespace is enabled
	Namespace string       // of objects whose manifest sets none; "" if unknown

	handler *admission.Handler
}

// NewWebhook returns a Webhook with these settings.
func NewWebhook(settings inject.Settings, commandsOf commands.Settings) (*Webhook, error) {
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	finder, err := commands.New(commandsOf, nil, registry, log)
	if err != nil {
		return nil, err
	}
	return &Webhook{handler: admission.New(settings, finder, registry, log)}, nil
}

// review sends one pod to the webhook's handler, and changes the pod, or the template that
// describes it.
func (w *Webhook) review(e document.Element, p input.Pod, pod map[string]any) (o Outcome, changed bool, err error) {
	o = Outcome{
		Object: e.Name(), Place: p.Place, Namespace: cmp.Or(e.Object.Object.GetNamespace(), w.Namespace),
		Account: cmp.Or(p.Pod.Spec.ServiceAccountName, p.Pod.Spec.DeprecatedServiceAccount, "default"),
	}
	sent, err := json.Marshal(asCreated(pod, p))
	if err != nil {
		return o, false, err
	}
	made, err := w.asked(&o, sent, rules.Select(w.Rules, placed(e.Object, o.Namespace), p, nil))
	switch {
	case err != nil || len(o.Problems) > 0:
		return o, false, err
	case bytes.Equal(sent, made) && !annotations.Present(p.Pod.ObjectMeta):
		o.Skipped = "it has no koordinator annotation"
		return o, false, nil
	case bytes.Equal(sent, made):
		o.Skipped = "it is injected already, or koordinator leaves it alone"
		return o, false, nil
	}
	var after map[string]any
	if err := utiljson.Unmarshal(made, &after); err != nil {
		return o, false, err
	}
	withoutToken(after)
	status := statusOf(after)
	if len(status.Wrapped) == 0 && !annotations.Present(p.Pod.ObjectMeta) {
		o.Skipped = "it has no koordinator annotation" // and no rule changes it
		return o, false, nil
	}
	pod["metadata"], pod["spec"] = after["metadata"], after["spec"]
	o.Wrapped, o.Local = status.Wrapped, status.Source == spec.SourceLocal
	if len(status.Wrapped) == 0 {
		o.Skipped = "none of its containers has to be wrapped"
	}
	return o, true, nil
}

// placed returns an object in a namespace. It does not change the manifest.
func placed(o input.Object, namespace string) input.Object {
	o.Object = o.Object.DeepCopy()
	o.Object.SetNamespace(namespace)
	return o
}

// asked returns a pod after all webhook calls that the API server would make for it: first
// the calls for the rules that select it, then the call for annotated pods. It adds
// warnings and problems to the outcome.
func (w *Webhook) asked(o *Outcome, pod []byte, selected []rules.Rule) ([]byte, error) {
	var handlers []ctrladmission.Handler
	for _, r := range selected {
		handlers = append(handlers, w.handler.ByRule(r.Rule))
	}
	for _, handler := range append(handlers, w.handler) {
		answer := handler.Handle(context.Background(), ctrladmission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Namespace: o.Namespace, Object: runtime.RawExtension{Raw: pod},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		}})
		for _, warning := range answer.Warnings {
			if !slices.Contains(o.Warnings, warning) {
				o.Warnings = append(o.Warnings, warning)
			}
		}
		if !answer.Allowed {
			o.Problems = problems(answer)
			return pod, nil
		}
		if len(answer.Patch) == 0 {
			continue
		}
		var err error
		if pod, err = patched(pod, answer.Patch); err != nil {
			return pod, err
		}
	}
	return pod, nil
}

// asCreated returns the pod that a template describes, in the form in which the API server
// would send it: with a mount of the service account's token, which withoutToken removes
// later.
func asCreated(template map[string]any, p input.Pod) map[string]any {
	pod := copied(template).(map[string]any)
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	if _, has := pod["metadata"].(map[string]any); !has {
		pod["metadata"] = map[string]any{}
	}
	if mount := p.Pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		for _, c := range containers(pod) {
			mounts, _ := c["volumeMounts"].([]any)
			if !slices.ContainsFunc(mounts, isToken) {
				c["volumeMounts"] = append(mounts, map[string]any{"name": tokenVolume, "mountPath": spec.APIAccess, "readOnly": true})
			}
		}
	}
	return pod
}

// tokenVolume is the name of the volume of the token that the API server will add.
const tokenVolume = "kube-api-access-that-is-added-later"

// isToken reports whether a mount has the path at which the API server mounts the token.
func isToken(mount any) bool {
	fields, _ := mount.(map[string]any)
	at, _ := fields["mountPath"].(string)
	return path.Clean(at) == spec.APIAccess
}

// containers returns all containers of a pod, init containers first.
func containers(pod map[string]any) []map[string]any {
	inner, _ := pod["spec"].(map[string]any)
	var all []map[string]any
	for _, list := range []string{"initContainers", "containers"} {
		elements, _ := inner[list].([]any)
		for _, element := range elements {
			if c, isObject := element.(map[string]any); isObject {
				all = append(all, c)
			}
		}
	}
	return all
}

// withoutToken removes the mounts that asCreated has added.
func withoutToken(pod map[string]any) {
	for _, c := range containers(pod) {
		mounts, _ := c["volumeMounts"].([]any)
		rest := slices.DeleteFunc(mounts, func(m any) bool {
			fields, _ := m.(map[string]any)
			return fields["name"] == tokenVolume
		})
		if len(mounts) > 0 {
			c["volumeMounts"] = rest
		}
		if len(mounts) > 0 && len(rest) == 0 {
			delete(c, "volumeMounts")
		}
	}
}

// patched applies a JSON patch to a pod.
func patched(pod, patch []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, fmt.Errorf("read the webhook's patch: %w", err)
	}
	after, err := operations.Apply(pod)
	if err != nil {
		return nil, fmt.Errorf("apply the webhook's patch: %w", err)
	}
	return after, nil
}

// statusOf returns the status annotation of a pod.
func statusOf(pod map[string]any) (status inject.Status) {
	meta, _ := pod["metadata"].(map[string]any)
	all, _ := meta["annotations"].(map[string]any)
	text, _ := all[inject.StatusAnnotation].(string)
	if json.Unmarshal([]byte(text), &status) != nil {
		return inject.Status{} // no status annotation
	}
	return status
}

// problems returns the problems of a rejection, one for each line.
func problems(answer ctrladmission.Response) []string {
	if answer.Result == nil {
		return []string{"the webhook rejects it"}
	}
	if answer.Result.Details == nil || len(answer.Result.Details.Causes) == 0 {
		return []string{answer.Result.Message}
	}
	var all []string
	for _, cause := range answer.Result.Details.Causes {
		all = append(all, cause.Field+": "+cause.Message)
	}
	return all
}
