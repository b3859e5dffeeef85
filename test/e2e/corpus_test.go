//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"koordinator.io/koordinator/test/corpus"
)

// senders is the number of pods that are sent to the API server at the same time.
const senders = 8

// quota is a typical setup of a namespace by an administrator: each container has
// resources, its own or these defaults, and there is room for one pod of any size.
const quota = `
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec:
  limits:
    - type: Container
      default: {cpu: 200m, memory: 256Mi}
      defaultRequest: {cpu: 100m, memory: 64Mi}
      min: {cpu: 10m, memory: 8Mi}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec:
  hard: {pods: "1", requests.cpu: "10", limits.cpu: "10", requests.memory: 10Gi, limits.memory: 10Gi}
`

// TestCorpus sends every template to the API server in a dry run. The API server adds its
// defaults and applies Pod Security. It must accept each template unchanged and injected.
// The injected pod must have the same quality of service class. If it is sent again, as a
// restored or copied pod is, it must not change. If a namespace with a quota accepts a
// template, it must also accept the injected pod.
func TestCorpus(t *testing.T) {
	abreast(t)
	api := connect(t)
	plain, injected, limited := pairOfNamespaces(t), pairOfNamespaces(t, enabled), pairWithQuota(t)
	together, mayDrop := canRestartTogether(t, plain[false]), olderThan(t, 35)
	var fitting atomic.Int64
	each(corpus.Templates(), func(template corpus.Template) {
		raw, err := json.Marshal(template.Pod)
		if err != nil {
			t.Error(err)
			return
		}
		if !together && bytes.Contains(raw, []byte(restartsTogether.value)) {
			return // the API server rejects the template itself
		}
		before, err := dryRun(t.Context(), api, plain[template.Restricted], raw)
		if err != nil {
			t.Errorf("%s: the template itself: %v", template.Name, err)
			return
		}
		if dropsPolicies(template.Pod, before) {
			if !mayDrop {
				t.Errorf("%s: the API server has dropped the restart policy of a container", template.Name)
			}
			return // koordinator relies on the policies in the request
		}
		if err := compare(t.Context(), api, before, injected[template.Restricted], raw); err != nil {
			t.Errorf("%s: %v", template.Name, err)
		}
		if !template.Restricted { // a third of the templates is enough here
			return
		}
		before, err = dryRun(t.Context(), api, limited[false], raw)
		if err != nil {
			return // the template does not fit into the quota even without injection
		}
		fitting.Add(1)
		if err := compare(t.Context(), api, before, limited[true], raw); err != nil {
			t.Errorf("%s, with a quota: %v", template.Name, err)
		}
	})
	if n := fitting.Load(); n < 50 {
		t.Errorf("only %d templates fit into the quota", n)
	}
}

// dropsPolicies reports whether the API server has dropped the restart policy of a container
// of the template, as it does after admission if the feature is disabled.
func dropsPolicies(template, created *corev1.Pod) bool {
	for i, c := range template.Spec.Containers {
		if c.RestartPolicy != nil && created.Spec.Containers[i].RestartPolicy == nil {
			return true
		}
	}
	return false
}

// compare sends a pod to a namespace with koordinator. It returns an error if the result is
// wrong, also in comparison with before, the result in a namespace without koordinator.
func compare(ctx context.Context, api kubernetes.Interface, before *corev1.Pod, namespace string, raw []byte) error {
	after, err := dryRun(ctx, api, namespace, raw)
	if err != nil {
		return err
	}
	if err := checkInjected(after); err != nil {
		return err
	}
	if before.Status.QOSClass != after.Status.QOSClass {
		return fmt.Errorf("its class was %s and is %s", before.Status.QOSClass, after.Status.QOSClass)
	}
	return checkAgain(ctx, api, after)
}

// pairWithQuota creates two namespaces with a quota. The one for true has koordinator enabled.
func pairWithQuota(t *testing.T) map[bool]string {
	t.Helper()
	pair := map[bool]string{false: namespace(t), true: namespace(t, enabled)}
	for _, ns := range pair {
		kubectl(t, "-n", ns, "create", "serviceaccount", corpus.ServiceAccount)
		apply(t, ns, quota)
		eventually(t, "the quota to be counted", func() (bool, string) {
			used := kubectl(t, "-n", ns, "get", "resourcequota", "quota", "-o", "jsonpath={.status.used.pods}")
			return used == "0", used
		})
	}
	return pair
}

// connect creates a client without a rate limit.
func connect(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// pairOfNamespaces creates two namespaces with the labels: false accepts any pod, true
// enforces Pod Security "restricted".
func pairOfNamespaces(t *testing.T, labels ...string) map[bool]string {
	t.Helper()
	pair := map[bool]string{
		false: namespace(t, labels...),
		true:  namespace(t, append(slices.Clone(labels), "pod-security.kubernetes.io/enforce=restricted")...),
	}
	for _, ns := range pair {
		kubectl(t, "-n", ns, "create", "serviceaccount", corpus.ServiceAccount)
	}
	return pair
}

// each calls call for every item, several at a time.
func each[T any](items []T, call func(T)) {
	queue := make(chan T)
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for item := range queue {
				call(item)
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	all.Wait()
}

// dryRun sends a pod as JSON and returns the pod that the API server would store. The API
// server drops unknown fields, as it does for every client that does not request strict
// validation.
func dryRun(ctx context.Context, api kubernetes.Interface, namespace string, raw []byte) (*corev1.Pod, error) {
	var pod corev1.Pod
	err := api.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").
		Param("dryRun", metav1.DryRunAll).Param("fieldValidation", metav1.FieldValidationIgnore).
		SetHeader("Content-Type", "application/json").Body(raw).Do(ctx).Into(&pod)
	return &pod, err
}

// checkInjected returns an error if a pod is not completely injected.
func checkInjected(pod *corev1.Pod) error {
	all := slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
	wrapped := slices.ContainsFunc(all, func(c corev1.Container) bool {
		return len(c.Command) > 2 && strings.HasSuffix(c.Command[0], "/koordinator") && c.Command[1] == "--"
	})
	switch {
	case pod.Labels["koordinator.io/injected"] != "true":
		return fmt.Errorf("it has no label that it was injected: %v", pod.Labels)
	case !wrapped:
		return fmt.Errorf("no container is wrapped")
	}
	return nil
}

// checkAgain sends an injected pod again, without the fields that only the API server may
// set, and returns an error if the pod has changed.
func checkAgain(ctx context.Context, api kubernetes.Interface, pod *corev1.Pod) error {
	copied := pod.DeepCopy()
	copied.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	copied.Status = corev1.PodStatus{}
	copied.UID, copied.ResourceVersion, copied.ManagedFields = "", "", nil
	raw, err := json.Marshal(copied)
	if err != nil {
		return err
	}
	again, err := dryRun(ctx, api, pod.Namespace, raw)
	if err != nil {
		return fmt.Errorf("sent again: %w", err)
	}
	if diff := cmp.Diff(pod.Spec, again.Spec); diff != "" {
		return fmt.Errorf("sent again it has changed (-first +second):\n%s", diff)
	}
	return nil
}
