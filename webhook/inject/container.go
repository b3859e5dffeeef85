package inject

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// container is a container of the pod and its position.
type container struct {
	*corev1.Container
	list  string // "initContainers" or "containers"
	index int
	order int // start order: init containers start in this order, and regular containers after all of them
	pod   *corev1.Pod

	unreadFields []string // paths of the pod's fields that this build does not know
}

// list returns every container of a pod except koordinator's own, init containers
// first.
func list(pod *corev1.Pod, unread []string) []container {
	var all []container
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name != InstallContainer {
			all = append(all, container{c, "initContainers", i, i, pod, unread})
		}
	}
	for i := range pod.Spec.Containers {
		all = append(all, container{&pod.Spec.Containers[i], "containers", i, len(pod.Spec.InitContainers), pod, unread})
	}
	return all
}

// unread reports whether this field of the container contains fields that this
// build does not know.
func (c container) unread(field string) bool {
	if len(c.unreadFields) == 0 {
		return false
	}
	within := fmt.Sprintf("spec.%s[%d].%s.", c.list, c.index, field)
	return slices.ContainsFunc(c.unreadFields, func(path string) bool { return strings.HasPrefix(path, within) })
}

// init reports whether the container is an init container, including native
// sidecars.
func (c container) init() bool { return c.list == "initContainers" }

// sidecar reports whether the container is a native sidecar.
func (c container) sidecar() bool {
	return c.init() && c.restarts() == corev1.RestartPolicyAlways
}

// runsToEnd reports whether the container is an init container that has exited
// before any later container starts.
func (c container) runsToEnd() bool { return c.init() && !c.sidecar() }

// restarts returns the restart policy that decides whether an exit is permanent.
// A container's own policy (Kubernetes ≥ 1.34) takes precedence over the pod's,
// and an init container that succeeded is never restarted.
func (c container) restarts() corev1.RestartPolicy {
	if c.RestartPolicy != nil {
		return corev1.RestartPolicy(*c.RestartPolicy)
	}
	policy := cmp.Or(c.pod.Spec.RestartPolicy, corev1.RestartPolicyAlways)
	if c.init() && policy == corev1.RestartPolicyAlways {
		return corev1.RestartPolicyOnFailure
	}
	return policy
}

// restart returns the restart policy with its rules. Only a container's own
// policy has rules.
func (c container) restart() spec.Restart {
	r := spec.Restart{Policy: string(c.restarts())}
	if c.RestartPolicy == nil {
		return r
	}
	for _, rule := range c.RestartPolicyRules {
		next := spec.RestartRule{Action: string(rule.Action)}
		if rule.ExitCodes != nil {
			next.ExitCodes = &spec.ExitCodes{Operator: string(rule.ExitCodes.Operator)}
			for _, code := range rule.ExitCodes.Values {
				next.ExitCodes.Values = append(next.ExitCodes.Values, int(code))
			}
		}
		r.Rules = append(r.Rules, next)
	}
	return r
}

// Restart returns the effective restart policy of a pod's container. init
// specifies that the container is one of the init containers.
func Restart(pod *corev1.Pod, c *corev1.Container, init bool) spec.Restart {
	list := "containers"
	if init {
		list = "initContainers"
	}
	return container{Container: c, list: list, pod: pod}.restart()
}

// canExit reports whether the container can permanently exit in a way that meets
// the condition.
func (c container) canExit(condition spec.Condition) bool {
	r := c.restart()
	for code := range r.Codes() {
		meets := condition == spec.Exited || (condition == spec.Succeeded) == (code == 0)
		if meets && r.ForGood(code) {
			return true
		}
	}
	return false
}

// hasToken reports whether the container can read the pod's status, because a
// token for the API server is mounted where client libraries expect it. The API
// server adds that mount before it calls the webhook.
func (c container) hasToken() bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		i := slices.IndexFunc(c.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		return path.Clean(m.MountPath) == spec.APIAccess && (i < 0 || holdsToken(c.pod.Spec.Volumes[i])) // without such a volume, the pod is invalid
	})
}

// holdsToken reports whether a volume contains a token for the API server: a
// projected token without another audience, or a Secret, whose content is not
// known here.
func holdsToken(v corev1.Volume) bool {
	if v.Projected == nil {
		return v.Secret != nil
	}
	return slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
		return s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == "" && s.ServiceAccountToken.Path == "token"
	})
}

// pointer returns the parts of a JSON pointer to a field of the container.
func (c container) pointer(parts ...string) []string {
	return append([]string{"spec", c.list, strconv.Itoa(c.index)}, parts...)
}

// place returns the place of the container in problems.
func (c container) place() messages.Place {
	if c.init() {
		return messages.InitContainer(c.index, c.Name)
	}
	return messages.Container(c.index, c.Name)
}
