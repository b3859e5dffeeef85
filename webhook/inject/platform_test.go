package inject

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// Treatments of a field of a probe or hook that koordinator runs instead of the
// kubelet.
const (
	copied  = "copied"        // into the spec
	kept    = "the kubelet's" // stays in the pod, and the kubelet applies it
	unknown = "makes it no known kind: refused, or the whole probe is left to the kubelet"
)

// decided is what happens to every field of the kinds that koordinator takes
// over. A field of a later Kubernetes version fails the test until a decision is
// added here.
var decided = map[reflect.Type]map[string]string{
	reflect.TypeFor[corev1.Probe](): {
		"ProbeHandler": copied, "InitialDelaySeconds": copied, "TimeoutSeconds": copied, "PeriodSeconds": copied,
		"SuccessThreshold": copied, "FailureThreshold": kept, "TerminationGracePeriodSeconds": copied,
	},
	reflect.TypeFor[corev1.ProbeHandler]():                    {"Exec": copied, "HTTPGet": copied, "TCPSocket": copied, "GRPC": copied},
	reflect.TypeFor[corev1.ExecAction]():                      {"Command": copied},
	reflect.TypeFor[corev1.HTTPGetAction]():                   {"Path": copied, "Port": copied, "Host": copied, "Scheme": copied, "HTTPHeaders": copied, "Protocol": unknown},
	reflect.TypeFor[corev1.HTTPHeader]():                      {"Name": copied, "Value": copied},
	reflect.TypeFor[corev1.TCPSocketAction]():                 {"Port": copied, "Host": copied},
	reflect.TypeFor[corev1.GRPCAction]():                      {"Port": copied, "Service": copied, "Mode": unknown},
	reflect.TypeFor[corev1.SleepAction]():                     {"Seconds": copied},
	reflect.TypeFor[corev1.Lifecycle]():                       {"PostStart": copied, "PreStop": copied, "StopSignal": copied},
	reflect.TypeFor[corev1.LifecycleHandler]():                {"Exec": copied, "HTTPGet": copied, "TCPSocket": unknown, "Sleep": copied},
	reflect.TypeFor[corev1.ContainerRestartRule]():            {"Action": copied, "ExitCodes": copied},
	reflect.TypeFor[corev1.ContainerRestartRuleOnExitCodes](): {"Operator": copied, "Values": copied},
	reflect.TypeFor[corev1.Container](): {
		"Name": copied, "Command": copied, "Env": copied, "RestartPolicy": copied, "RestartPolicyRules": copied,
		"TerminationMessagePath": copied, "StartupProbe": copied, "LivenessProbe": copied, "ReadinessProbe": copied, "Lifecycle": copied,
		"Args": kept, "Image": kept, "WorkingDir": kept, "Ports": kept, "EnvFrom": kept, "Resources": kept, "ResizePolicy": kept,
		"VolumeMounts": kept, "VolumeDevices": kept, "TerminationMessagePolicy": kept, "ImagePullPolicy": kept,
		"SecurityContext": kept, "Stdin": kept, "StdinOnce": kept, "TTY": kept,
	},
}

func TestA11EveryFieldIsAccountedFor(t *testing.T) {
	for typ, fields := range decided {
		var have []string
		for field := range typ.Fields() {
			have = append(have, field.Name)
			if fields[field.Name] == "" {
				t.Errorf("%s.%s: decide what becomes of it when koordinator takes its place", typ, field.Name)
			}
		}
		for name := range fields {
			if !slices.Contains(have, name) {
				t.Errorf("%s has no field %s any more", typ, name)
			}
		}
	}
}

// filled sets every field of a value to a value other than its default.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[intstr.IntOrString]() {
			v.Set(reflect.ValueOf(intstr.FromInt32(4711)))
			return
		}
		for _, field := range v.Fields() {
			filled(field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.String:
		v.SetString("filled")
	case reflect.Int32, reflect.Int64:
		v.SetInt(4711)
	default: // pods have no others
	}
}

// TestA11EveryFieldOfAHandlerIsCopiedOrMakesItUnknown sets one field of each kind
// of handler at a time: the copy must contain it, or there must be no copy.
func TestA11EveryFieldOfAHandlerIsCopiedOrMakesItUnknown(t *testing.T) {
	for _, kind := range []string{"Exec", "HTTPGet", "TCPSocket", "GRPC"} {
		typ, _ := reflect.TypeFor[corev1.ProbeHandler]().FieldByName(kind)
		for field := range typ.Type.Elem().Fields() {
			bare, full := corev1.Probe{}, corev1.Probe{}
			for _, p := range []*corev1.Probe{&bare, &full} {
				handler := reflect.ValueOf(p).Elem().FieldByName(kind)
				handler.Set(reflect.New(typ.Type.Elem()))
			}
			filled(reflect.ValueOf(&full).Elem().FieldByName(kind).Elem().FieldByIndex(field.Index))
			was, is := copyOf(&bare), copyOf(&full)
			switch want := decided[typ.Type.Elem()][field.Name]; {
			case want == copied && (is == nil || reflect.DeepEqual(was, is)):
				t.Errorf("%s.%s: the copy %+v does not show it", kind, field.Name, is)
			case want == unknown && is != nil:
				t.Errorf("%s.%s: it is lost in the copy %+v", kind, field.Name, is)
			}
		}
	}
}

// copyOf returns a probe in the form of the spec, or nil if koordinator cannot
// run it.
func copyOf(p *corev1.Probe) *spec.Probe {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}
	return newProbe(list(pod, nil)[0], "livenessProbe", probe{of: p}, &messages.Notes{})
}

func TestA11AFieldThatNobodyKnowsIsNotLost(t *testing.T) {
	get := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80)}}}
	hook := &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80)}}
	asked := func(unread ...string) Asked {
		return Asked{Unread: unread, Rest: Wish{Spec: spec.Default()}, Wishes: map[string]Wish{"main": {
			Spec:   spec.Spec{Container: "main", StartDeps: []spec.Dependency{{Container: "proxy", Condition: spec.Ready}}, StopTimeout: 1, MessagePath: spec.Message},
			Places: map[string]messages.Place{"startDeps": messages.Annotation(Prefix + "start-deps")},
		}}}
	}
	for _, tt := range []struct {
		name   string
		change func(*corev1.Container)
		unread string
		refuse string // "": the probe stays with the kubelet
	}{
		{"of a liveness probe", func(c *corev1.Container) { c.LivenessProbe = get }, "spec.containers[0].livenessProbe.httpGet.new", ""},
		{"of a startup probe", func(c *corev1.Container) { c.StartupProbe = get }, "spec.containers[0].startupProbe.new", "cannot run a probe"},
		{"of a hook", func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{PreStop: hook} }, "spec.containers[0].lifecycle.preStop.httpGet.new", "cannot run a hook"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Name: "main", Command: []string{"/main"}}, {Name: "proxy", Command: []string{"/proxy"}},
			}}}
			tt.change(&pod.Spec.Containers[0])
			if r := inject(pod, asked("spec.containers[1].image.new")); len(r.Problems) > 0 || !touches(r, "Probe/exec") && !touches(r, "preStop/exec") {
				t.Fatalf("without it: problems %v, patch %v", r.Problems, r.Patch)
			}
			r := inject(pod, asked(tt.unread))
			switch {
			case tt.refuse == "" && (len(r.Problems) > 0 || touches(r, "livenessProbe")):
				t.Errorf("problems %v, patch %v", r.Problems, r.Patch)
			case tt.refuse != "" && (len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Sentence, tt.refuse)):
				t.Errorf("problems %v, want one with %q", r.Problems, tt.refuse)
			}
		})
	}
}

// touches reports whether the path of any operation of a patch contains a text.
func touches(r result, path string) bool {
	for _, o := range r.Patch {
		if strings.Contains(o.Path, path) {
			return true
		}
	}
	return false
}
