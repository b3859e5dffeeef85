package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"koordinator.io/koordinator/test/setup"
)

// Objects that the demo creates on the cluster.
const (
	namespace = "koordinator-demo"
	sample    = "config/samples/job-with-sidecar.yaml"
	job       = "job-with-sidecar"
)

// up sets everything up, runs the sample and shows the results.
func up(ctx context.Context, kind string) error {
	began := time.Now()
	step := func(format string, args ...any) {
		fmt.Printf("\n== %s  (%s)\n", fmt.Sprintf(format, args...), time.Since(began).Round(time.Second))
	}
	step("cluster: %s", kind)
	c, err := setup.Open(ctx, kind, os.Stdout)
	if err != nil {
		return err
	}
	where, err := c.Kubectl(ctx, "", "config", "view", "--minify", "-o", "jsonpath=context {.current-context}, {.clusters[0].cluster.server}")
	if err != nil {
		return err
	}
	fmt.Println(where)
	step("images from the Dockerfiles")
	if kind == setup.Current {
		fmt.Println("not built: the nodes of a cluster of your own must be able to pull koordinator/webhook:dev and koordinator/wrapper:dev")
	} else if err := c.Images(ctx); err != nil {
		return err
	}
	step("namespace %s, label koordinator.io/injection=enabled", namespace)
	if err := makeNamespace(ctx, c); err != nil {
		return err
	}
	step("koordinator by the chart in charts/koordinator")
	if err := install(ctx, c); err != nil {
		return err
	}
	step("kubectl apply -n %s -f %s", namespace, sample)
	completed, err := follow(ctx, c)
	if err != nil {
		return err
	}
	goOn(c)
	if !completed {
		return fmt.Errorf("the Job did not complete: kubectl -n %s describe job,pod shows why", namespace)
	}
	return nil
}

// installedLabel is a label of the demo's namespace. It marks that the demo installed koordinator.
const installedLabel = "koordinator-demo-installed"

// install installs koordinator. On a current cluster, it uses an existing installation
// unchanged, because that belongs to somebody else.
func install(ctx context.Context, c *setup.Cluster) error {
	if c.Kind == setup.Current && c.Helm(ctx, "status", "koordinator", "--namespace", setup.Namespace) == nil {
		fmt.Println("koordinator is installed already and used as it is")
		return nil
	}
	if _, err := c.Kubectl(ctx, "", "label", "namespace", namespace, installedLabel+"=true", "--overwrite"); err != nil {
		return err
	}
	return c.Install(ctx)
}

// makeNamespace creates the demo's namespace, and removes the Job of an earlier run.
func makeNamespace(ctx context.Context, c *setup.Cluster) error {
	manifest := "{apiVersion: v1, kind: Namespace, metadata: {name: " + namespace + ", labels: {koordinator.io/injection: enabled}}}"
	if _, err := c.Kubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
		return err
	}
	_, err := c.Kubectl(ctx, "", "-n", namespace, "delete", "job", job, "--ignore-not-found", "--wait", "--cascade=foreground")
	return err
}

// goOn prints how to inspect the cluster and how to clean up.
func goOn(c *setup.Cluster) {
	fmt.Println("\nLook around:")
	if c.Kubeconfig != "" {
		fmt.Printf("  export KUBECONFIG=%s PATH=%s:$PATH\n", c.Kubeconfig, c.Bin())
	}
	fmt.Printf(`  kubectl -n %[1]s get job,pod
  kubectl -n %[1]s get pod -l job-name=%[2]s -o yaml     # what the webhook put in
  kubectl -n %[1]s logs job/%[2]s --all-containers
  kubectl -n %[3]s logs deploy/koordinator
Clean up:
  make demo-down%[4]s
`, namespace, job, setup.Namespace, suffix(c))
}

func suffix(c *setup.Cluster) string {
	if c.Kind == setup.Test {
		return ""
	}
	return " CLUSTER=" + c.Kind
}

// down removes everything that up created: on the current cluster only the demo's objects,
// otherwise the whole cluster.
func down(ctx context.Context, kind string) error {
	if kind != setup.Current {
		return setup.Down(ctx, kind, os.Stdout)
	}
	c, err := setup.Open(ctx, kind, os.Stdout)
	if err != nil {
		return err
	}
	ours, err := c.Kubectl(ctx, "", "get", "namespace", "-l", installedLabel, "-o", "name")
	if err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "", "delete", "namespace", namespace, "--ignore-not-found"); err != nil {
		return err
	}
	if ours == "" {
		fmt.Println("koordinator itself was not installed by the demo and stays")
		return nil
	}
	return c.Uninstall(ctx)
}
