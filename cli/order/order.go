// Package order determines the order in which koordinator starts and stops the containers
// of a pod. It calls the webhook's packages, so that it returns the same result.
package order

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/webhook/workload"
	"koordinator.io/koordinator/wrapper/spec"
)

// Role is the role of a container in its pod.
type Role string

// The roles.
const (
	Init    Role = "init container"
	Sidecar Role = "native sidecar"
	Regular Role = "container"
)

// Container is a container of a pod with its spec.
type Container struct {
	Name    string
	Role    Role
	Wrapped bool      // it runs under the wrapper
	Spec    spec.Spec // if it is not wrapped, only the name and the restart policy are set
	Probed  bool      // it becomes ready some time after its start: it has probes of its own and, if it is wrapped, other containers wait for them
}

// Order is the order of a pod's containers. Containers are in the order in which the
// kubelet starts them.
type Order struct {
	Containers  []Container
	GracePeriod int64 // terminationGracePeriodSeconds
	Warnings    []string
	Asked       inject.Asked // the settings of the annotations and labels
}

// Mistakes holds every problem for which the webhook would reject a pod.
type Mistakes []messages.Problem

// Error lists them, one on each line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, p := range m {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Of returns the order of a pod. For an injected pod, it reads the specs of the containers;
// for any other pod, it determines the specs that the webhook would add. place is the path
// of the template that describes the pod, "" for a pod. raw is the pod or its template as
// JSON, for fields that the Go type lacks. An error is Mistakes, or explains why the pod
// cannot be read.
func Of(pod *corev1.Pod, place string, raw []byte) (Order, error) {
	var root *field.Path
	if place != "" {
		root = field.NewPath(place)
	}
	asked, problems := annotations.Read(pod.ObjectMeta, root)
	if injected(pod) {
		o, err := read(pod)
		o.Asked = asked
		return o, err
	}
	pod = workload.Complete(pod)
	if raw != nil {
		var err error
		if asked.Unread, err = admission.Decode(raw, &corev1.Pod{}); err != nil {
			return Order{}, err
		}
	}
	result := inject.Complete(plan(pod, asked))
	if problems = append(problems, result.Problems...); len(problems) > 0 {
		return Order{}, Mistakes(problems)
	}
	after, err := patched(pod, result)
	if err != nil {
		return Order{}, err
	}
	o, err := read(after)
	o.Warnings, o.Asked = messages.Strings(result.Warnings), asked
	return o, err
}

// plan returns the arguments for inject.Complete. A placeholder stands for the commands of
// images, because the command does not change the order.
func plan(pod *corev1.Pod, asked inject.Asked) (inject.Planned, inject.Found) {
	planned := inject.Plan(pod, asked, inject.Settings{Image: "koordinator/wrapper", Version: spec.Release, Sidecars: sidecars.Builtin()})
	found := inject.Found{Commands: map[string]inject.Command{}}
	for _, name := range planned.Wanted {
		found.Commands[name] = inject.Command{Words: []string{"/command-of-the-image"}}
	}
	return planned, found
}

// patched returns the pod after injection.
func patched(pod *corev1.Pod, c inject.Completed) (*corev1.Pod, error) {
	operations := inject.Rewrite(c)
	if len(operations) == 0 {
		return pod, nil
	}
	before, err := json.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	text, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("encode the patch: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, fmt.Errorf("decode the patch: %w", err)
	}
	after, err := patch.Apply(before)
	if err != nil {
		return nil, fmt.Errorf("inject the pod: %w", err)
	}
	var result corev1.Pod
	if err := json.Unmarshal(after, &result); err != nil {
		return nil, fmt.Errorf("decode the injected pod: %w", err)
	}
	return &result, nil
}

// injected reports whether any container of the pod has a spec.
func injected(pod *corev1.Pod) bool {
	has := func(c corev1.Container) bool { return instructions(&c) != "" }
	return slices.ContainsFunc(pod.Spec.InitContainers, has) || slices.ContainsFunc(pod.Spec.Containers, has)
}

// instructions returns the spec in a container's environment, "" if there is none.
func instructions(c *corev1.Container) string {
	for _, e := range c.Env {
		if e.Name == spec.Env {
			return strings.ReplaceAll(e.Value, "$$", "$") // the webhook doubles "$", because the kubelet expands $(VAR)
		}
	}
	return ""
}

// read returns the order in the specs of an injected pod.
func read(pod *corev1.Pod) (Order, error) {
	o := Order{GracePeriod: int64(inject.GracePeriod(pod) / time.Second)}
	lists := []struct {
		role Role
		list []corev1.Container
	}{{Init, pod.Spec.InitContainers}, {Regular, pod.Spec.Containers}}
	for _, l := range lists {
		for i := range l.list {
			given := &l.list[i]
			if given.Name == inject.InstallContainer {
				continue
			}
			c, err := readContainer(pod, given, l.role)
			if err != nil {
				return o, err
			}
			o.Containers = append(o.Containers, c)
		}
	}
	return o, nil
}

// readContainer reads one container.
func readContainer(pod *corev1.Pod, given *corev1.Container, role Role) (Container, error) {
	c := Container{Name: given.Name, Role: role, Probed: given.StartupProbe != nil || given.ReadinessProbe != nil}
	if role == Init && given.RestartPolicy != nil && *given.RestartPolicy == corev1.ContainerRestartPolicyAlways {
		c.Role = Sidecar
	}
	c.Spec = spec.Default()
	if text := instructions(given); text != "" {
		s, err := spec.Parse(text)
		if err != nil {
			return c, fmt.Errorf("container %q: %s: %w", given.Name, spec.Env, err)
		}
		c.Wrapped, c.Spec = true, s
		c.Probed = len(s.ReadyProbes) > 0 // the probes that the webhook adds only show whether the container waits
	}
	c.Spec.Container = given.Name
	if c.Spec.Restart.Policy == "" {
		c.Spec.Restart = inject.Restart(pod, given, role != Regular)
	}
	return c, nil
}
