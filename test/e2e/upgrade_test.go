//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/setup"
)

const (
	// previousChart is the chart of previousCommit, packaged by "helm package".
	previousChart  = "test/e2e/testdata/previous/chart.tgz"
	previousCommit = "7ec7e827"
	// previousNamespace is the namespace in which its pages installed it.
	previousNamespace = "koordinator-system"
)

// TestUpgradeFromThePreviousChart follows docs/how-to/upgrade.md: it upgrades the previous
// chart in its previous namespace, rolls back, upgrades again, and moves the release. A pod
// that was injected at the beginning must survive all of this. It is not parallel.
func TestUpgradeFromThePreviousChart(t *testing.T) {
	ns := namespace(t, enabled)
	run := func(args ...string) {
		t.Helper()
		if err := cluster.Helm(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { install(t, "--take-ownership") })
	run("uninstall", "koordinator", "--namespace", setup.Namespace, "--wait")
	previousImages(t)
	t.Cleanup(func() {
		if err := cluster.Helm(context.WithoutCancel(t.Context()), "uninstall", "koordinator", "--namespace", previousNamespace, "--ignore-not-found", "--wait"); err != nil {
			t.Error(err)
		}
		kubectl(t, "delete", "namespace", previousNamespace, "--ignore-not-found")
	})
	in := []string{"--namespace", previousNamespace, "--wait", "--timeout", "10m"}
	run(append([]string{"install", "koordinator", previousChart, "--create-namespace", "--take-ownership", "--set", setup.SelfSigned, "--set", "delivery=init-container"}, in...)...)

	apply(t, ns, waitingPod)
	says(t, ns, "waits", "main", "waiting")
	kept := func(when string) {
		t.Helper()
		grant, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader", "-o", "jsonpath={.subjects[*].name}")
		if pod := onePod(t, ns, "e2e"); pod.Status.Phase != corev1.PodRunning || grant != "default" {
			t.Errorf("%s: the pod from before is %s, its grant is for %q: %v", when, pod.Status.Phase, grant, err)
		}
	}
	eventually(t, "the grant", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader")
		return err == nil, out
	})
	if err := cluster.Control(t.Context(), "load", "bin/images/webhook.tar", "bin/images/wrapper.tar"); err != nil {
		t.Fatal(err)
	}
	upgrade := append([]string{"upgrade", "koordinator", "charts/koordinator", "--reset-then-reuse-values", "--set", "podAnnotations.upgraded=yes"}, in...)
	s := startStream(t, namespace(t, enabled), false) // the stream removes its pods at the end
	run(upgrade...)
	kept("after the upgrade")
	run(append([]string{"rollback", "koordinator", "1"}, in...)...)
	kept("after the rollback")
	run(upgrade...)
	s.endReal(t)
	kept("after the second upgrade")
	ordered(t)

	run("uninstall", "koordinator", "--namespace", previousNamespace, "--wait")
	run("install", "koordinator", "charts/koordinator", "--namespace", setup.Namespace, "--create-namespace", "--wait", "--timeout", "10m", "--take-ownership", "--set", setup.SelfSigned)
	ordered(t)
	kept("after the move")
}

// previousImages builds the images of the previous commit and loads them on the node. If
// the repository lacks this commit, as in a shallow clone, the current images run under the
// previous chart.
func previousImages(t *testing.T) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "previous")
	if out, err := exec.CommandContext(t.Context(), "git", "-C", cluster.Root, "worktree", "add", "--detach", dir, previousCommit).CombinedOutput(); err != nil {
		t.Logf("the previous commit is not there, so that the previous chart is upgraded with today's images: %v: %s", err, out)
		return
	}
	defer func() {
		if out, err := exec.Command("git", "-C", cluster.Root, "worktree", "remove", "--force", dir).CombinedOutput(); err != nil {
			t.Errorf("remove the work tree: %v: %s", err, out)
		}
	}()
	build := exec.CommandContext(t.Context(), "go", "run", "./test/images")
	build.Dir, build.Stdout, build.Stderr = dir, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		t.Fatalf("build the images of %s: %v", previousCommit, err)
	}
	images := filepath.Join(dir, "bin/images")
	if err := cluster.Control(t.Context(), "load", filepath.Join(images, "webhook.tar"), filepath.Join(images, "wrapper.tar")); err != nil {
		t.Fatal(err)
	}
}

// ordered runs the README's Job in a new namespace. The Job must complete.
func ordered(t *testing.T) {
	t.Helper()
	ns := namespace(t, enabled)
	eventually(t, "an answer of the webhook", func() (bool, string) {
		out, err := try(t, waitingPod, "-n", ns, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		return err == nil && strings.Contains(out, injectedMark), out
	})
	apply(t, ns, sample(t, jobSample))
	if _, condition := job(t, ns, jobSample); condition != "Complete" {
		t.Errorf("Job %s, want Complete", condition)
	}
}
