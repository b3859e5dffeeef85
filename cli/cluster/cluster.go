// Package cluster reads pods, events and logs. It needs the permission to get, list and
// watch pods and to get pods/log. Without the permission to list events, it omits them.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"koordinator.io/koordinator/cli/history"
	"koordinator.io/koordinator/webhook/inject"
)

// Cluster is a cluster and the namespace whose pods are read.
type Cluster struct {
	client    corev1client.CoreV1Interface
	namespace string // "" for all
}

// Open returns the cluster that kubectl's options select.
func Open(flags *genericclioptions.ConfigFlags, everywhere bool) (*Cluster, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if everywhere {
		namespace = ""
	}
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &Cluster{client, namespace}, nil
}

// Namespace returns the namespace whose pods are read, "" for all.
func (c *Cluster) Namespace() string { return c.namespace }

// Target is a pod or the controller of pods, as kubectl names it: "job/report". A name
// without a kind stands for a pod.
type Target struct{ Kind, Name string }

// kinds maps the names that a target may use for a kind to the kind.
var kinds = map[string]string{
	"pod": "Pod", "pods": "Pod", "po": "Pod",
	"job": "Job", "jobs": "Job",
	"cronjob": "CronJob", "cronjobs": "CronJob", "cj": "CronJob",
	"deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
	"replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"statefulset": "StatefulSet", "statefulsets": "StatefulSet", "sts": "StatefulSet",
	"daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet",
}

// ParseTarget parses a target.
func ParseTarget(text string) (Target, error) {
	kind, name, typed := strings.Cut(text, "/")
	if !typed {
		return Target{"Pod", text}, nil
	}
	known, ok := kinds[strings.ToLower(strings.SplitN(kind, ".", 2)[0])]
	if !ok || name == "" || strings.Contains(name, "/") {
		return Target{}, fmt.Errorf("target %q: want KIND/NAME, with one of pod, job, cronjob, deployment, replicaset, statefulset, daemonset", text)
	}
	return Target{known, name}, nil
}

// scheduled matches the suffix that a CronJob adds to the name of its Jobs: the scheduled minute.
var scheduled = regexp.MustCompile(`^-\d+$`)

// owns reports whether a pod belongs to the target. It recognizes indirect owners by the
// names that controllers generate, so that it has to read pods only.
func (t Target) owns(pod *corev1.Pod) bool {
	if t.Kind == "Pod" {
		return pod.Name == t.Name
	}
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return false
	}
	switch t.Kind {
	case "Deployment":
		return owner.Kind == "ReplicaSet" && owner.Name == t.Name+"-"+pod.Labels["pod-template-hash"]
	case "CronJob":
		rest, found := strings.CutPrefix(owner.Name, t.Name)
		return owner.Kind == "Job" && found && scheduled.MatchString(rest)
	default:
		return owner.Kind == t.Kind && owner.Name == t.Name
	}
}

// Pods returns the pods of the targets that match a label selector, oldest first. Without
// targets, it returns all injected pods. For a CronJob, it returns the pods of its latest
// Job.
func (c *Cluster) Pods(ctx context.Context, targets []Target, selector string) ([]corev1.Pod, error) {
	pods, err := c.Selected(ctx, selectorOf(targets, selector))
	if err != nil || len(targets) == 0 {
		return pods, err
	}
	var all []corev1.Pod
	for _, t := range targets {
		found := t.among(pods)
		if len(found) == 0 {
			return nil, NoPodError{t, c.where()}
		}
		all = append(all, found...)
	}
	return all, nil
}

// selectorOf returns the label selector for pods. Without targets, it selects injected pods only.
func selectorOf(targets []Target, selector string) string {
	if len(targets) > 0 {
		return selector
	}
	return strings.TrimPrefix(selector+","+inject.InjectedLabel+"=true", ",")
}

// NoPodError reports that a target has no pod or does not exist.
type NoPodError struct {
	Target Target
	where  string
}

func (e NoPodError) Error() string {
	return fmt.Sprintf("%s/%s has no pod in %s", strings.ToLower(e.Target.Kind), e.Target.Name, e.where)
}

// Selected returns the pods, injected or not, that match a label selector.
func (c *Cluster) Selected(ctx context.Context, selector string) ([]corev1.Pod, error) {
	list, err := c.client.Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	slices.SortFunc(list.Items, oldestFirst)
	return list.Items, nil
}

// oldestFirst orders pods by their creation.
func oldestFirst(a, b corev1.Pod) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// among returns the target's pods.
func (t Target) among(pods []corev1.Pod) []corev1.Pod {
	var all []corev1.Pod
	for _, p := range pods {
		if t.owns(&p) {
			all = append(all, p)
		}
	}
	if t.Kind == "CronJob" && len(all) > 0 {
		latest := metav1.GetControllerOfNoCopy(&all[len(all)-1]).Name
		all = slices.DeleteFunc(all, func(p corev1.Pod) bool { return metav1.GetControllerOfNoCopy(&p).Name != latest })
	}
	return all
}

func (c *Cluster) where() string {
	if c.namespace == "" {
		return "any namespace"
	}
	return "namespace " + c.namespace
}

// Evidence holds the data from which a pod's history is reconstructed. The command timeline
// saves it.
type Evidence struct {
	Pod    corev1.Pod              `json:"pod"`
	Events []corev1.Event          `json:"events,omitempty"`
	Logs   map[string]history.Logs `json:"logs,omitempty"` // by container
	Read   metav1.Time             `json:"read"`           // the time at which the evidence was read
}

// History returns the history that follows from the evidence.
func (e Evidence) History() history.History {
	return history.Read(&e.Pod, e.Events, e.Logs, e.Read.Time)
}

// Evidence reads the evidence of a pod. missing lists the parts that could not be read.
func (c *Cluster) Evidence(ctx context.Context, pod corev1.Pod) (e Evidence, missing []string) {
	e = Evidence{Pod: pod, Logs: map[string]history.Logs{}, Read: metav1.NewTime(time.Now().UTC())}
	var mutex sync.Mutex
	miss := func(what string, err error) {
		mutex.Lock()
		defer mutex.Unlock()
		missing = append(missing, fmt.Sprintf("%s of pod %s/%s: %v", what, pod.Namespace, pod.Name, err))
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		var err error
		if e.Events, err = c.events(ctx, &pod); err != nil {
			miss("events", err)
		}
	})
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.Name == inject.InstallContainer || s.State.Waiting != nil && s.RestartCount == 0 {
			continue
		}
		wait.Go(func() {
			logs, err := c.logs(ctx, &pod, s)
			if err != nil {
				miss("log of container "+s.Name, err)
			}
			mutex.Lock()
			defer mutex.Unlock()
			e.Logs[s.Name] = logs
		})
	}
	wait.Wait()
	slices.Sort(missing)
	return e, missing
}

// events returns the events about a pod.
func (c *Cluster) events(ctx context.Context, pod *corev1.Pod) ([]corev1.Event, error) {
	list, err := c.client.Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(pod.UID)).String()})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// logs returns the logs of a container's current incarnation and of the previous one. The
// kubelet may have removed the previous log.
func (c *Cluster) logs(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus) (history.Logs, error) {
	read := func(previous bool) ([]byte, error) {
		return c.client.Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: s.Name, Previous: previous, Timestamps: true}).DoRaw(ctx)
	}
	var logs history.Logs
	var err error
	if s.RestartCount > 0 && s.State.Waiting == nil {
		if logs.Previous, err = read(true); apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
			err = nil // the kubelet keeps this log for a limited time
		}
	}
	present, problem := read(false) // while a restart is pending, this is the log of the previous incarnation
	logs.Present = present
	return logs, cmp.Or(err, problem)
}
