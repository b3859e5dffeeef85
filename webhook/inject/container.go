package inject

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// container is a container of the pod and where it stands.
type container struct {
	*corev1.Container
	list  string // "initContainers" or "containers"
	index int
	order int // init containers start in this order, the others all after them
	pod   *corev1.Pod

	unreadFields []string // paths of the pod's fields that this build does not know
}

// list is every container of a pod but our own, init containers first.
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

// unread reports whether this field of the container has fields that this build
// does not know.
func (c container) unread(field string) bool {
	if len(c.unreadFields) == 0 {
		return false
	}
	within := fmt.Sprintf("spec.%s[%d].%s.", c.list, c.index, field)
	return slices.ContainsFunc(c.unreadFields, func(path string) bool { return strings.HasPrefix(path, within) })
}

// init reports whether it is an init container, a native sidecar included.
func (c container) init() bool { return c.list == "initContainers" }

// sidecar reports whether it is a native sidecar.
func (c container) sidecar() bool {
	return c.init() && c.restarts() == corev1.RestartPolicyAlways
}

// runsToEnd reports whether it is an init container that has ended before
// anything after it starts.
func (c container) runsToEnd() bool { return c.init() && !c.sidecar() }

// restarts is the restart policy that decides whether an exit is for good. A
// container's own (Kubernetes ≥ 1.34) wins over the pod's, and an init
// container that succeeded is never started again.
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

// restart is the restart policy with its rules, which only a container's own
// has.
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

// canExit reports whether the container can exit for good in a way that meets
// the condition.
func (c container) canExit(condition spec.Condition) bool {
	r := c.restart()
	for code := range 256 {
		meets := condition == spec.Exited || (condition == spec.Succeeded) == (code == 0)
		if meets && r.ForGood(code) {
			return true
		}
	}
	return false
}

// hasToken reports whether the container can read the pod's status: a token for
// the API server is mounted where client libraries look for one. The API server
// mounts it before it calls the webhook.
func (c container) hasToken() bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		i := slices.IndexFunc(c.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		return path.Clean(m.MountPath) == spec.APIAccess && (i < 0 || holdsToken(c.pod.Spec.Volumes[i])) // without a volume the pod is invalid
	})
}

// holdsToken reports whether a volume has a token for the API server: a projected
// one without another audience, or a Secret of that kind, whose content is not
// known here.
func holdsToken(v corev1.Volume) bool {
	if v.Projected == nil {
		return v.Secret != nil
	}
	return slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
		return s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == "" && s.ServiceAccountToken.Path == "token"
	})
}

// pointer is a JSON pointer's parts, from the pod down to a member of the
// container.
func (c container) pointer(parts ...string) []string {
	return append([]string{"spec", c.list, strconv.Itoa(c.index)}, parts...)
}

// place is the container in messages.
func (c container) place() string { return fmt.Sprintf("container %q", c.Name) }
