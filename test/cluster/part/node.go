package part

import (
	_ "embed" // for the configuration files
	"os"
	"path/filepath"
	"strings"

	"koordinator.io/koordinator/test/cluster/image"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// The configuration files. A NAME in angle brackets stands for a value of this cluster; see
// Config.WriteFiles.
var (
	//go:embed containerd.toml
	containerdConfig string
	//go:embed kubelet.yaml
	kubeletConfig string
	//go:embed bridge.conflist
	bridgeConfig string
	//go:embed audit.yaml
	auditPolicy string
)

// containerd runs the containers. The mount namespace makes all its directories private.
func (c Config) containerd() Part {
	return Part{
		Name:   Containerd,
		Args:   []string{c.program(Containerd), "--config=" + c.config("containerd.toml")},
		Health: "unix://" + c.Layout.ContainerdSocket(),
		Grace:  grace,
	}
}

// kubelet runs the pods.
func (c Config) kubelet() Part {
	args := append([]string{
		c.program(Kubelet), "--config=" + c.config("kubelet.yaml"), "--kubeconfig=" + c.pki("kubelet.kubeconfig"),
		"--hostname-override=" + NodeName, "--node-ip=" + sandbox.NodeIP,
	}, c.featureGates()...)
	return Part{Name: Kubelet, After: []string{APIServer, Containerd}, Args: args, Health: "http://127.0.0.1:10248/healthz", Grace: grace}
}

// proxy makes the Services reachable. It does not set the connection tracking limits, which
// belong to the machine and not to this network namespace.
func (c Config) proxy() Part {
	return Part{
		Name:  Proxy,
		After: []string{APIServer},
		Args: []string{
			c.program(Proxy), "--kubeconfig=" + c.pki("proxy.kubeconfig"), "--hostname-override=" + NodeName,
			"--proxy-mode=nftables", "--cluster-cidr=" + podRange, "--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		},
		Health: "http://127.0.0.1:10256/healthz",
		Grace:  grace,
	}
}

// WriteFiles writes the configuration files for the parts.
func (c Config) WriteFiles() error {
	values := strings.NewReplacer(
		"<CGROUP>", c.Layout.Cgroup(),
		"<CNI>", filepath.Dir(c.config("cni/bridge.conflist")),
		"<PKI>", c.Layout.PKI(),
		"<REGISTRIES>", c.Layout.Registries(),
		"<SANDBOX>", image.PauseReference,
	)
	for name, content := range map[string]string{
		"containerd.toml":     containerdConfig,
		"kubelet.yaml":        kubeletConfig,
		"cni/bridge.conflist": bridgeConfig,
		"audit.yaml":          auditPolicy,
	} {
		if err := os.MkdirAll(filepath.Dir(c.config(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(c.config(name), []byte(values.Replace(content)), 0o644); err != nil {
			return err
		}
	}
	return os.MkdirAll(c.Layout.Registries(), 0o755)
}

// config returns the path of a configuration file.
func (c Config) config(name string) string { return filepath.Join(c.Layout.Config(), name) }
