package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"koordinator.io/koordinator/cli/cluster"
	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/rules"
)

// scope selects the pods of a cluster that a command reads.
type scope struct {
	flags      *genericclioptions.ConfigFlags
	everywhere bool
	selector   string
}

// clusterFlags adds kubectl's options for the cluster and for the pods in it.
func clusterFlags(cmd *cobra.Command) *scope {
	s := &scope{flags: genericclioptions.NewConfigFlags(true)}
	s.flags.CacheDir = nil // do not cache anything
	s.flags.AddFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&s.everywhere, "all-namespaces", "A", false, "include the pods of all namespaces")
	cmd.Flags().StringVarP(&s.selector, "selector", "l", "", "label selector of the pods")
	return s
}

// open returns the cluster, and the targets that the arguments name.
func (s *scope) open(args []string) (*cluster.Cluster, []cluster.Target, error) {
	var targets []cluster.Target
	for _, arg := range args {
		t, err := cluster.ParseTarget(arg)
		if err != nil {
			return nil, nil, usageError{err}
		}
		targets = append(targets, t)
	}
	c, err := cluster.Open(s.flags, s.everywhere)
	return c, targets, err
}

// pods returns the pods of the cluster that the arguments name.
func (s *scope) pods(cmd *cobra.Command, args []string) ([]corev1.Pod, *cluster.Cluster, error) {
	c, targets, err := s.open(args)
	if err != nil {
		return nil, nil, err
	}
	pods, err := c.Pods(cmd.Context(), targets, s.selector)
	if err == nil && len(pods) == 0 {
		err = errors.New("no pod with koordinator's label is there: name a target, for example job/report, or another namespace with -n")
	}
	return pods, c, err
}

// ordered is a pod and its order.
type ordered struct {
	title string
	order order.Order
}

// source selects the pods whose order a command shows: those that manifests describe, or
// pods in a cluster.
type source struct {
	manifests *input.Options
	where     *scope
	rules     func() ([]rules.Rule, error) // for pods of manifests
}

// sourceFlags adds the options that select pods.
func sourceFlags(cmd *cobra.Command) source {
	return source{manifestFlags(cmd), clusterFlags(cmd), rulesFlag(cmd)}
}

// orders returns the orders of the selected pods. The webhook's warnings go to stderr; its
// errors are a bad answer.
func (s source) orders(cmd *cobra.Command, args []string) ([]ordered, error) {
	if !given(s.manifests) {
		return running(cmd, s.where, args)
	}
	operators, err := s.rules()
	if err != nil {
		return nil, err
	}
	objects, err := document.Objects(*s.manifests, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	var all []ordered
	var bad []string
	for _, object := range objects {
		if len(args) > 0 && !named(args, object.Name()) {
			continue
		}
		for _, pod := range object.Pods {
			title := object.Name()
			if len(object.Pods) > 1 {
				title += " " + pod.Place
			}
			found, err := fitting(cmd, title, rules.Candidates(operators, object.Object, pod, nil), pod)
			if err != nil {
				bad = append(bad, title+":\n  "+indented(err))
				continue
			}
			warn(cmd, title, found.Warnings)
			all = append(all, ordered{title, found})
		}
	}
	switch {
	case len(bad) > 0:
		return nil, badAnswer{errors.New(strings.Join(bad, "\n"))}
	case len(all) == 0:
		return nil, errors.New("the manifests describe no such pod")
	}
	return all, nil
}

// indented returns the lines of an error, for a list.
func indented(err error) string { return strings.ReplaceAll(err.Error(), "\n", "\n  ") }

// fitting returns the order of the pod that is created: the first candidate that fits.
func fitting(cmd *cobra.Command, title string, candidates []rules.Candidate, pod input.Pod) (found order.Order, err error) {
	for _, c := range candidates {
		found, err = order.Of(c.Pod, pod.Place, pod.Raw)
		if _, mistaken := errors.AsType[order.Mistakes](err); !mistaken || !c.Optional() {
			break
		}
		warn(cmd, title, []string{c.Skipped() + "\n  " + indented(err)})
	}
	return found, err
}

// named reports whether the arguments name an object.
func named(args []string, name string) bool {
	for _, arg := range args {
		if strings.EqualFold(arg, name) {
			return true
		}
	}
	return false
}

// running returns the orders of pods in the cluster.
func running(cmd *cobra.Command, s *scope, args []string) ([]ordered, error) {
	if len(args) == 0 && s.selector == "" && !s.everywhere {
		return nil, usageError{errors.New("name a manifest (-f FILE, -f -, -k DIRECTORY) or a target in the cluster (job/report)")}
	}
	pods, _, err := s.pods(cmd, args)
	if err != nil {
		return nil, err
	}
	var all []ordered
	for _, pod := range pods {
		found, err := order.Of(&pod, "", nil)
		if err != nil {
			return nil, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
		all = append(all, ordered{"pod/" + pod.Name, found})
	}
	return all, nil
}

// warn prints the warnings of the webhook.
func warn(cmd *cobra.Command, title string, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", title, w)
	}
}
