package cluster

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"koordinator.io/koordinator/cli/history"
)

// pace is the minimum time between two reports of changes.
const pace = 200 * time.Millisecond

// The limits for following logs. If more containers run, the other containers are followed
// only by the pod's status.
const (
	mostFollowed = 100             // containers whose log is followed at the same time
	followAgain  = 5 * time.Second // pause after a log has ended
)

// Watch calls changed with all pods that Pods finds, and with the subset that is new, has
// changed, or whose wrappers have logged an event. It calls it first for all pods, and
// again after each change. Watch returns when changed reports done or fails, when the
// context ends, or with an error if the pods cannot be listed or may not be watched.
func (c *Cluster) Watch(ctx context.Context, targets []Target, selector string, changed func(all, news []corev1.Pod) (done bool, err error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := watching{
		cluster: c, targets: targets, selector: selectorOf(targets, selector), changed: changed,
		news: map[types.UID]bool{}, logged: make(chan types.UID), followed: map[string]bool{}, ended: make(chan string),
	}
	for {
		if done, err := w.round(ctx); done || err != nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, pace)
	}
}

// watching is the state of a running Watch.
type watching struct {
	cluster  *Cluster
	targets  []Target
	selector string
	changed  func(all, news []corev1.Pod) (bool, error)

	pods     map[types.UID]corev1.Pod
	news     map[types.UID]bool // the pods that have changed since the last report
	logged   chan types.UID     // pods whose wrapper has logged an event
	followed map[string]bool    // containers whose log is followed, by ID
	ended    chan string        // containers whose log ended followAgain ago
}

// round lists the pods and watches them until the watch ends.
func (w *watching) round(ctx context.Context) (done bool, err error) {
	client := w.cluster.client.Pods(w.cluster.namespace)
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: w.selector})
	if err != nil {
		return false, fmt.Errorf("list pods: %w", err)
	}
	w.pods = map[types.UID]corev1.Pod{}
	for _, pod := range list.Items {
		w.pods[pod.UID], w.news[pod.UID] = pod, true
	}
	changes, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = w.selector
			return client.Watch(ctx, o)
		},
	})
	if err != nil {
		return false, fmt.Errorf("watch pods: %w", err)
	}
	defer changes.Stop()
	for {
		pods := w.present()
		w.follow(ctx, pods)
		news := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !w.news[p.UID] })
		if done, err := w.changed(pods, news); done || err != nil {
			return done, err
		}
		clear(w.news)
		if open, err := w.next(ctx, changes.ResultChan()); !open || err != nil {
			return false, err
		}
	}
}

// next waits for a change, and collects all changes that follow within a short time. It
// returns false when the watch has ended, and an error if watching is not allowed.
func (w *watching) next(ctx context.Context, changes <-chan watch.Event) (bool, error) {
	var enough <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-enough:
			return true, nil
		case pod := <-w.logged:
			w.news[pod] = true
		case container := <-w.ended:
			delete(w.followed, container)
		case e, open := <-changes:
			if !open {
				return false, nil
			}
			if pod, is := e.Object.(*corev1.Pod); is {
				w.take(e.Type, pod)
			} else {
				return false, refusal(e.Object)
			}
		}
		if enough == nil {
			enough = time.After(pace)
		}
	}
}

// refusal returns the error of a watch if listing the pods again does not help. Listing
// again does help if, for example, the resource version of the watch is too old.
func refusal(status runtime.Object) error {
	if err := apierrors.FromObject(status); apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return fmt.Errorf("watch pods: %w", err)
	}
	return nil
}

// take applies one change.
func (w *watching) take(kind watch.EventType, pod *corev1.Pod) {
	if kind == watch.Deleted {
		delete(w.pods, pod.UID)
		return
	}
	w.pods[pod.UID], w.news[pod.UID] = *pod, true
}

// present returns the pods of the targets that exist now.
func (w *watching) present() []corev1.Pod {
	all := slices.Collect(maps.Values(w.pods))
	slices.SortFunc(all, oldestFirst)
	if len(w.targets) == 0 {
		return all
	}
	var found []corev1.Pod
	for _, t := range w.targets {
		found = append(found, t.among(all)...)
	}
	return found
}

// follow starts to follow the logs of containers that have started since the last call.
func (w *watching) follow(ctx context.Context, pods []corev1.Pod) {
	for _, pod := range pods {
		for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if s.State.Running == nil || w.followed[s.ContainerID] || len(w.followed) >= mostFollowed {
				continue
			}
			w.followed[s.ContainerID] = true
			go func() {
				w.read(ctx, pod, s.Name)
				wait(ctx, followAgain)
				select {
				case w.ended <- s.ContainerID:
				case <-ctx.Done():
				}
			}()
		}
	}
}

// read reads the new lines of a log until it ends. It starts a little in the past, so that
// it misses no line that is written before the stream begins: SinceSeconds is longer than
// followAgain.
func (w *watching) read(ctx context.Context, pod corev1.Pod, container string) {
	options := &corev1.PodLogOptions{Container: container, Follow: true, SinceSeconds: new(int64(10))}
	stream, err := w.cluster.client.Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		return // the pod's status is still shown
	}
	defer stream.Close()
	lines := bufio.NewReaderSize(stream, 16<<10) // no line of the wrapper is longer; longer lines are read in parts
	for {
		line, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		if !history.OfWrapper(string(line)) {
			continue
		}
		select {
		case w.logged <- pod.UID:
		case <-ctx.Done():
			return
		}
	}
}

// wait waits for a duration, or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
