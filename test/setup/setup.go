// Package setup installs koordinator on a cluster as a user would: with images built from
// the Dockerfiles, and with the chart and helm. The demo and the end-to-end tests share it.
package setup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The kinds of cluster.
const (
	Test    = "test"    // the cluster of test/cluster, started if needed
	Current = "current" // the current kubeconfig context
	Kind    = "kind"    // a kind cluster, created if needed
)

// Namespace is the namespace of the koordinator installation.
const Namespace = "koordinator-io"

// kindName is the name of the kind cluster.
const kindName = "koordinator"

// Cluster is a cluster with the tools to access it.
type Cluster struct {
	Kind       string
	Root       string // root of the repository
	Kubeconfig string // "" for the default of kubectl and helm
	kubectl    string
	helm       string
	out        io.Writer // progress and the tools' output
}

// Open makes sure that the cluster is available. kind is one of the constants. out receives
// progress messages. The first build takes minutes.
func Open(ctx context.Context, kind string, out io.Writer) (*Cluster, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Kind: kind, Root: root, kubectl: "kubectl", helm: "helm", out: out}
	switch kind {
	case Test:
		err = c.openTest(ctx)
	case Current:
		err = c.need("kubectl", "helm")
	case Kind:
		err = c.openKind(ctx)
	default:
		err = fmt.Errorf("unknown cluster %q: one of %s, %s, %s", kind, Test, Current, Kind)
	}
	return c, err
}

func (c *Cluster) openTest(ctx context.Context) error {
	if err := c.Control(ctx, "up"); err != nil {
		return err
	}
	config, err := c.output(ctx, "go", "run", "./test/cluster", "kubeconfig")
	if err != nil {
		return err
	}
	bin, err := c.output(ctx, "go", "run", "./test/cluster", "bin")
	if err != nil {
		return err
	}
	c.Kubeconfig = strings.TrimSpace(config)
	c.kubectl = filepath.Join(strings.TrimSpace(bin), "kubectl")
	c.helm = filepath.Join(strings.TrimSpace(bin), "helm")
	return nil
}

func (c *Cluster) openKind(ctx context.Context) error {
	if err := c.need("kind", "kubectl", "helm"); err != nil {
		return err
	}
	names, err := c.output(ctx, "kind", "get", "clusters")
	if err != nil {
		return err
	}
	for name := range strings.Lines(names) {
		if strings.TrimSpace(name) == kindName {
			return c.run(ctx, "kubectl", "config", "use-context", "kind-"+kindName)
		}
	}
	return c.run(ctx, "kind", "create", "cluster", "--name", kindName, "--wait", "2m")
}

// Down removes a cluster that Open has created. It rejects Current, because that cluster
// belongs to somebody else.
func Down(ctx context.Context, kind string, out io.Writer) error {
	root, err := repository()
	if err != nil {
		return err
	}
	c := &Cluster{Kind: kind, Root: root, out: out}
	switch kind {
	case Test:
		return c.Control(ctx, "down")
	case Kind:
		return c.run(ctx, "kind", "delete", "cluster", "--name", kindName)
	default:
		return fmt.Errorf("take down a cluster of kind %q: only %s and %s", kind, Test, Kind)
	}
}

// Bin returns the directory with kubectl and helm, "" if they are in PATH.
func (c *Cluster) Bin() string {
	if !filepath.IsAbs(c.kubectl) {
		return ""
	}
	return filepath.Dir(c.kubectl)
}

// need checks at the beginning that programs are installed.
func (c *Cluster) need(programs ...string) error {
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("CLUSTER=%s needs %s on the PATH: install it, or use CLUSTER=%s", c.Kind, strings.Join(missing, " and "), Test)
	}
	return nil
}

// Control runs a command of test/cluster: up, down, restart PART, …
func (c *Cluster) Control(ctx context.Context, args ...string) error {
	return c.run(ctx, "go", append([]string{"run", "./test/cluster"}, args...)...)
}

// AuditLog returns the path of the log of requests from pods to the cluster of
// test/cluster. The log has one JSON object on each line.
func (c *Cluster) AuditLog(ctx context.Context) (string, error) {
	path, err := c.output(ctx, "go", "run", "./test/cluster", "audit")
	return strings.TrimSpace(path), err
}

// Images builds both images and loads them on the cluster's node. It does nothing for a
// current context, because its owner decides how images get there.
func (c *Cluster) Images(ctx context.Context) error {
	if c.Kind == Current {
		return nil
	}
	if err := c.run(ctx, "go", "run", "./test/images"); err != nil {
		return err
	}
	tars := []string{"bin/images/webhook.tar", "bin/images/wrapper.tar"}
	if c.Kind == Test {
		return c.Control(ctx, append([]string{"load"}, tars...)...)
	}
	for _, tar := range tars {
		if err := c.run(ctx, "kind", "load", "image-archive", "--name", kindName, tar); err != nil {
			return err
		}
	}
	return nil
}

// SelfSigned is the setting of the chart with which it needs no other component in the cluster.
const SelfSigned = "certificates=self-signed"

// Install installs or upgrades the chart, and waits until the webhook serves. The webhook
// creates its own certificates unless more, additional arguments of helm, changes this.
func (c *Cluster) Install(ctx context.Context, more ...string) error {
	args := []string{
		"upgrade", "--install", "koordinator", "charts/koordinator",
		"--namespace", Namespace, "--create-namespace", "--wait", "--timeout", "5m", "--set", SelfSigned,
	}
	if c.Kind != Current {
		image, err := os.ReadFile(filepath.Join(c.Root, "bin/images/webhook.tar"))
		if err != nil {
			return err
		}
		// The image's tag stays the same, so only this annotation makes a new image cause a rollout.
		args = append(args, "--set-string", fmt.Sprintf("podAnnotations.image=%x", sha256.Sum256(image)))
	}
	return c.Helm(ctx, append(args, more...)...)
}

// Template returns the rendered chart as YAML. more holds additional arguments of helm.
func (c *Cluster) Template(ctx context.Context, more ...string) (string, error) {
	args := []string{"template", "koordinator", "charts/koordinator", "--namespace", Namespace}
	return c.output(ctx, c.helm, append(args, more...)...)
}

// Uninstall removes the chart and its namespace.
func (c *Cluster) Uninstall(ctx context.Context) error {
	if err := c.Helm(ctx, "uninstall", "koordinator", "--namespace", Namespace, "--ignore-not-found", "--wait"); err != nil {
		return err
	}
	_, err := c.Kubectl(ctx, "", "delete", "namespace", Namespace, "--ignore-not-found")
	return err
}

// Helm runs helm against the cluster.
func (c *Cluster) Helm(ctx context.Context, args ...string) error {
	return c.run(ctx, c.helm, args...)
}

// Kubectl runs kubectl against the cluster and returns its output. The error contains the
// text on stderr.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := c.KubectlCommand(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// KubectlCommand returns a kubectl command that has not been started, for streaming.
func (c *Cluster) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	return c.command(ctx, c.kubectl, args...)
}

func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.Root
	cmd.Env = os.Environ()
	if c.Kubeconfig != "" {
		cmd.Env = append(cmd.Env, "KUBECONFIG="+c.Kubeconfig)
	}
	return cmd
}

// run runs a program and shows its output.
func (c *Cluster) run(ctx context.Context, name string, args ...string) error {
	cmd := c.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	return describe(cmd, cmd.Run())
}

// output runs a program and returns its output on stdout.
func (c *Cluster) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := c.command(ctx, name, args...)
	cmd.Stderr = c.out
	out, err := cmd.Output()
	return string(out), describe(cmd, err)
}

func describe(cmd *exec.Cmd, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", strings.Join(append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:]...), " "), err)
}

// repository returns the directory of the whole source, found from a directory inside it.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.work here or above: run it inside the repository")
}
