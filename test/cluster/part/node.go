package part

import (
	_ "embed" // for the configuration files
	"os"
	"path/filepath"
	"strings"

	"koordinator.io/koordinator/test/cluster/image"
	"koordinator.io/koordinator/test/cluster/layout"
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

// containerd runs the containers of a node. The mount namespace makes all its directories private.
func (c Config) containerd(number int) Part {
	node := c.Layout.Node(number)
	return Part{
		Name:   On(number, Containerd),
		Node:   number,
		Args:   []string{c.program(number, Containerd), "--config=" + filepath.Join(node.Config(), "containerd.toml")},
		Health: "unix://" + node.ContainerdSocket(),
		Grace:  grace,
	}
}

// kubelet runs the pods of a node.
func (c Config) kubelet(number int) Part {
	node := c.Layout.Node(number)
	args := append([]string{
		c.program(number, Kubelet), "--config=" + filepath.Join(node.Config(), "kubelet.yaml"), "--kubeconfig=" + c.pki(On(number, Kubelet)+".kubeconfig"),
		"--hostname-override=" + node.Name, "--node-ip=" + sandbox.NodeIP(number),
	}, c.featureGates(number)...)
	return Part{
		Name: On(number, Kubelet), Node: number, After: []string{APIServer, On(number, Containerd)}, Args: args,
		Health: "http://127.0.0.1:10248/healthz", Grace: grace,
	}
}

// proxy makes the Services reachable from a node. It does not set the connection tracking
// limits, which belong to the machine and not to this network namespace.
func (c Config) proxy(number int) Part {
	return Part{
		Name:  On(number, Proxy),
		Node:  number,
		After: []string{APIServer},
		Args: []string{
			c.program(number, Proxy), "--kubeconfig=" + c.pki("proxy.kubeconfig"), "--hostname-override=" + c.Layout.Node(number).Name,
			"--proxy-mode=nftables", "--cluster-cidr=" + sandbox.PodRange, "--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		},
		Health: "http://127.0.0.1:10256/healthz",
		Grace:  grace,
	}
}

// WriteFiles writes the configuration files for the parts of a node.
func (c Config) WriteFiles(node layout.Node) error {
	cni := filepath.Join(node.Config(), "cni", "bridge.conflist")
	values := strings.NewReplacer(
		"<CGROUP>", node.Cgroup,
		"<CNI>", filepath.Dir(cni),
		"<KUBELET>", On(node.Number, Kubelet),
		"<PKI>", c.Layout.PKI(),
		"<REGISTRIES>", c.Layout.Registries(),
		"<SANDBOX>", image.PauseReference,
		"<SUBNET>", sandbox.PodSubnet(node.Number),
	)
	files := map[string]string{
		filepath.Join(node.Config(), "containerd.toml"): containerdConfig,
		filepath.Join(node.Config(), "kubelet.yaml"):    kubeletConfig,
		cni: bridgeConfig,
	}
	if node.Number == 1 {
		files[c.config("audit.yaml")] = auditPolicy
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(values.Replace(content)), 0o644); err != nil {
			return err
		}
	}
	return os.MkdirAll(c.Layout.Registries(), 0o755)
}

// config returns the path of a configuration file of the control plane.
func (c Config) config(name string) string { return filepath.Join(c.Layout.Config(), name) }
