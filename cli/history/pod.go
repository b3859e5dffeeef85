package history

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// Logs holds the logs of one container.
type Logs struct {
	Present  []byte // log of the current incarnation, or of the last one
	Previous []byte // log of the previous incarnation; the kubelet keeps no older one
}

// Read creates a history from a pod's status, the Kubernetes events about the pod, and the
// logs of its containers by name. now is the time at which they were read.
func Read(pod *corev1.Pod, events []corev1.Event, logs map[string]Logs, now time.Time) History {
	h := History{Pod: pod.Namespace + "/" + pod.Name, Phase: string(pod.Status.Phase), Reason: reason(pod), Now: now}
	h.Events = append(h.Events, Event{At: pod.CreationTimestamp.Time, Kind: PodCreated, Text: "pod created"})
	if t := pod.DeletionTimestamp; t != nil {
		grace := int64(0)
		if pod.DeletionGracePeriodSeconds != nil {
			grace = *pod.DeletionGracePeriodSeconds
		}
		h.Events = append(h.Events, Event{At: t.Add(-time.Duration(grace) * time.Second), Kind: PodDeleted, Text: "deletion requested"})
	}
	for _, l := range []struct {
		role     string
		list     []corev1.Container
		statuses []corev1.ContainerStatus
	}{
		{"init container", pod.Spec.InitContainers, pod.Status.InitContainerStatuses},
		{"container", pod.Spec.Containers, pod.Status.ContainerStatuses},
	} {
		for _, c := range l.list {
			if c.Name == inject.InstallContainer {
				continue
			}
			role := l.role
			if role == "init container" && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
				role = "native sidecar"
			}
			h.Containers = append(h.Containers, Container{c.Name, role})
			h.container(c.Name, statusOf(l.statuses, c.Name), logs[c.Name])
		}
	}
	for _, e := range events {
		h.Events = append(h.Events, clusterEvent(e))
	}
	h.Sort()
	return h
}

// reason returns why a pod failed if its containers do not show the reason, for example an eviction.
func reason(pod *corev1.Pod) string {
	return strings.TrimSuffix(strings.TrimPrefix(pod.Status.Reason+": "+pod.Status.Message, ": "), ": ")
}

func statusOf(list []corev1.ContainerStatus, name string) corev1.ContainerStatus {
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	return corev1.ContainerStatus{Name: name}
}

// container adds the events of a container.
func (h *History) container(name string, s corev1.ContainerStatus, logs Logs) {
	run := int(s.RestartCount)
	if s.State.Waiting != nil && s.LastTerminationState.Terminated != nil { // a restart is due
		h.incarnation(name, run, s.LastTerminationState, Log(name, run, logs.Present))
		return
	}
	if run > 0 {
		h.incarnation(name, run-1, s.LastTerminationState, Log(name, run-1, logs.Previous))
	}
	h.incarnation(name, run, s.State, Log(name, run, logs.Present))
}

// incarnation adds the events of one incarnation. The kubelet's times are rounded down to
// seconds, so the wrapper's more precise times for the same moments are preferred.
func (h *History) incarnation(name string, run int, s corev1.ContainerState, logged []Event) {
	var begin, end time.Time
	switch {
	case s.Terminated != nil:
		begin, end = s.Terminated.StartedAt.Time, s.Terminated.FinishedAt.Time
	case s.Running != nil:
		begin = s.Running.StartedAt.Time
	}
	if begin.IsZero() && len(logged) == 0 {
		return
	}
	first, last := bounds(logged)
	if !first.IsZero() && (begin.IsZero() || first.Sub(begin) <= 2*time.Second) {
		begin = first
	}
	h.Events = append(h.Events, Event{At: begin, Container: name, Kind: Created, Run: run, Text: "container created"})
	h.Events = append(h.Events, logged...)
	if s.Terminated == nil {
		return
	}
	if last.After(end) {
		end = last
	}
	t := s.Terminated
	h.Events = append(h.Events, Event{
		At: end, Container: name, Kind: Terminated, Run: run, ExitCode: int(t.ExitCode),
		Reason: why(t), Text: fmt.Sprintf("container terminated with exit code %d", t.ExitCode),
	})
}

// bounds returns the times of the first and the last line of the wrapper.
func bounds(logged []Event) (first, last time.Time) {
	for _, e := range logged {
		if e.Kind == Output {
			continue
		}
		if first.IsZero() || e.At.Before(first) {
			first = e.At
		}
		if e.At.After(last) {
			last = e.At
		}
	}
	return first, last
}

// why returns the reason for an exit, from the kubelet or from the termination message.
func why(t *corev1.ContainerStateTerminated) string {
	message, _, _ := strings.Cut(strings.TrimSpace(t.Message), "\n")
	switch {
	case message != "":
		return message
	case t.Reason == "Completed" || t.Reason == "Error":
		return ""
	default:
		return t.Reason
	}
}

// of matches the field path of a Kubernetes event, and captures the container.
var of = regexp.MustCompile(`^spec\.(?:initContainers|containers)\{(.+)\}$`)

// clusterEvent converts a Kubernetes event.
func clusterEvent(e corev1.Event) Event {
	at := e.EventTime.Time
	if at.IsZero() {
		at = e.LastTimestamp.Time
	}
	if at.IsZero() {
		at = e.CreationTimestamp.Time
	}
	found := Event{At: at, Kind: Cluster, Text: e.Reason + ": " + strings.TrimSpace(e.Message), Reason: e.Reason}
	if m := of.FindStringSubmatch(e.InvolvedObject.FieldPath); m != nil {
		found.Container = m[1]
	}
	return found
}
