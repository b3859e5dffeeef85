//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/docs"
	"koordinator.io/koordinator/test/setup"
)

// TestTheCommandsOfTheDocumentation runs the commands that the pages show for an existing
// installation: the tutorial, and the pages for operators.
func TestTheCommandsOfTheDocumentation(t *testing.T) {
	abreast(t)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", "shop", "--ignore-not-found", "--wait=false") })
	all := newcomer(t)
	end := slices.IndexFunc(all, func(c docs.Command) bool { return c.Section == "Clean up" })
	if end < 0 {
		t.Fatal("the tutorial does not clean up")
	}
	for _, c := range all[:end] {
		typed(t, c)
	}
	for _, page := range docs.Operated { // these pages use the tutorial's namespace
		for _, c := range commands(t, page) {
			if docs.Runnable(c) || strings.HasPrefix(c.Text, "make package ") {
				t.Run(c.Text, func(t *testing.T) { typed(t, c) })
			}
		}
	}
	for _, c := range all[end:] {
		typed(t, c)
	}
}

// TestUpgradeAndRemovalAsDocumented runs the commands of the pages on upgrade and removal,
// while no other test runs, and installs koordinator again. A pod that was injected before
// must survive all of this.
func TestUpgradeAndRemovalAsDocumented(t *testing.T) {
	t.Cleanup(func() { install(t) })
	ns := namespace(t, enabled)
	apply(t, ns, waitingPod)
	eventually(t, "the grant", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader")
		return err == nil, out
	})
	for _, page := range docs.Replaced {
		for _, c := range commands(t, page) {
			if strings.HasPrefix(c.Text, "kubectl delete ") {
				if pod := onePod(t, ns, "e2e"); pod.Status.Phase != corev1.PodRunning {
					t.Errorf("the pod is %s after the removal, want %s", pod.Status.Phase, corev1.PodRunning)
				}
			}
			if docs.Runnable(c) {
				typed(t, c)
			}
		}
	}
	left := kubectl(t, "get", "mutatingwebhookconfiguration,clusterrole,clusterrolebinding", "-o", "name") +
		kubectl(t, "get", "rolebinding", "--all-namespaces", "-o", "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}")
	if strings.Contains(left, "koordinator") {
		t.Errorf("something is left:\n%s", left)
	}
}

// commands returns the commands of a page.
func commands(t *testing.T, page string) []docs.Command {
	t.Helper()
	all, err := docs.Commands(filepath.Join(cluster.Root, page))
	if err != nil || len(all) == 0 {
		t.Fatalf("commands of %s: %v, %v", page, all, err)
	}
	return all
}

// newcomer returns the tutorial's commands, from a namespace to a Job that completes.
func newcomer(t *testing.T) []docs.Command {
	t.Helper()
	all := slices.DeleteFunc(commands(t, "docs/tutorial.md"), func(c docs.Command) bool { return !docs.Runnable(c) })
	if len(all) < 4 {
		t.Fatalf("the tutorial's commands have changed: %v", all)
	}
	return all
}

// installation returns the documented command that installs koordinator, with more words at its end.
func installation(t *testing.T, end string) docs.Command {
	t.Helper()
	all := commands(t, "docs/how-to/install.md")
	i := slices.IndexFunc(all, func(c docs.Command) bool {
		return strings.HasPrefix(c.Text, "helm install ") && strings.HasSuffix(c.Text, end)
	})
	if i < 0 {
		t.Fatalf("no page has an installation with %s", end)
	}
	return all[i]
}

// nextSteps returns the commands that the chart's notes show after an installation.
func nextSteps(t *testing.T) []docs.Command {
	t.Helper()
	var all []docs.Command
	for line := range strings.Lines(typed(t, docs.Command{Text: "helm get notes koordinator --namespace " + setup.Namespace})) {
		if c := (docs.Command{Text: strings.TrimSpace(line)}); strings.HasPrefix(line, "  ") && docs.Runnable(c) {
			all = append(all, c)
		}
	}
	if len(all) < 3 {
		t.Fatalf("the chart's notes have changed: %v", all)
	}
	return all
}

// timeouts matches the timeouts for readers, whose machine does nothing else at the time.
var timeouts = regexp.MustCompile(`--timeout[= ]\w+`)

// typed runs a command in a shell, in the repository's root, and returns its output. The
// command must succeed and print something.
func typed(t *testing.T, c docs.Command) string {
	t.Helper()
	text := timeouts.ReplaceAllString(c.Text, "--timeout="+wait.String())
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", text)
	cmd.Dir = cluster.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig, "PATH="+cluster.Bin()+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Errorf("line %d: %s: %v\n%s", c.Line, c.Text, err, out)
	}
	return string(out)
}
