package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// certManagerSource is the program with cert-manager's controllers, in a separate module.
const certManagerSource = "test/cluster/certmanager"

// CertManager installs cert-manager on a cluster of test/cluster: its custom resources, and
// its controllers in a process that runs until stop is called. The first call builds the
// controllers, which takes minutes.
func (c *Cluster) CertManager(ctx context.Context) (stop func() error, err error) {
	program := filepath.Join(c.Root, "bin/certmanager")
	if err := c.own(ctx, certManagerSource, "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".").Run(); err != nil {
		return nil, fmt.Errorf("build %s: %w", certManagerSource, err)
	}
	if err := c.CertManagerKinds(ctx); err != nil {
		return nil, err
	}
	log, err := os.Create(program + ".log")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, c.Kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start cert-manager: %w", err)
	}
	return func() error {
		defer log.Close()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop cert-manager, whose log is %s: %w", log.Name(), err)
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("cert-manager, whose log is %s: %w", log.Name(), err)
		}
		return nil
	}, nil
}

// CertManagerKinds installs cert-manager's custom resource definitions in the cluster.
func (c *Cluster) CertManagerKinds(ctx context.Context) error {
	dir, err := c.own(ctx, certManagerSource, "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager").Output()
	if err != nil {
		return fmt.Errorf("find cert-manager's module: %w", err)
	}
	return c.applyFiles(ctx, filepath.Join(strings.TrimSpace(string(dir)), "deploy/crds"))
}

// prometheusOperator is the module with the definitions of the Prometheus operator's resources.
const prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// PrometheusKinds installs the definitions of the Prometheus operator's resources that the
// chart creates.
func (c *Cluster) PrometheusKinds(ctx context.Context) error {
	cmd := c.own(ctx, "", "mod", "download", "-json", prometheusOperator)
	cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("download %s: %w", prometheusOperator, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("download %s: %w", prometheusOperator, err)
	}
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		if err := c.applyFiles(ctx, filepath.Join(module.Dir, "example/prometheus-operator-crd/monitoring.coreos.com_"+kind+".yaml")); err != nil {
			return err
		}
	}
	return nil
}

// own returns a go command in a directory of the repository, outside of the workspace.
func (c *Cluster) own(ctx context.Context, folder string, args ...string) *exec.Cmd {
	cmd := c.command(ctx, "go", args...)
	cmd.Dir = filepath.Join(c.Root, folder)
	cmd.Env = append(cmd.Env, "GOWORK=off", "CGO_ENABLED=0")
	cmd.Stderr = c.out
	return cmd
}

// applyFiles applies a file or a directory of custom resource definitions, and waits until
// the API server serves them.
func (c *Cluster) applyFiles(ctx context.Context, path string) error {
	if _, err := c.Kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-f", path); err != nil {
		return err
	}
	return c.established(ctx, path)
}

// established waits until the API server serves custom resources. kubectl wait also fails
// if a definition has no status yet ("accessor error").
func (c *Cluster) established(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		_, err := c.Kubectl(ctx, "", "wait", "--for=condition=Established", "--timeout=5m", "-f", path)
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "accessor error") {
			return err
		}
		time.Sleep(time.Second)
	}
}
