package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"koordinator.io/koordinator/test/cluster/image"
	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/pki"
	"koordinator.io/koordinator/test/cluster/release"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// subjects returns the certificates of a cluster by file name, including those of nodes
// that may be added later.
func subjects(l layout.Layout) map[string]pki.Subject {
	all := map[string]pki.Subject{
		"apiserver": {
			Name: "kube-apiserver",
			DNS:  []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
			// The host uses loopback to reach the forwarder; pods use the first service address.
			IPs: []string{"127.0.0.1", "10.96.0.1", sandbox.NodeIP(1)},
		},
		"admin":              {Name: "admin", Groups: []string{"system:masters"}},
		"controller-manager": {Name: "system:kube-controller-manager"},
		"proxy":              {Name: "system:kube-proxy"},
		"scheduler":          {Name: "system:kube-scheduler"},
	}
	for number := 1; number <= MostNodes; number++ {
		node := l.Node(number)
		all[part.On(node.Number, part.Kubelet)] = pki.Subject{
			Name: "system:node:" + node.Name, Groups: []string{"system:nodes"},
			DNS: []string{node.Name}, IPs: []string{sandbox.NodeIP(node.Number)},
		}
	}
	return all
}

// prepare creates everything that the parts need when they start: directories,
// certificates, configuration, cgroups and namespaces.
func (c *Cluster) prepare(s state) error {
	for _, dir := range []string{c.layout.Run, c.layout.Data, c.layout.Log} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := c.save(s); err != nil {
		return err
	}
	if err := c.writePKI(s); err != nil {
		return err
	}
	for _, node := range c.nodes(s) {
		if err := c.createNode(s, node); err != nil {
			return err
		}
	}
	return nil
}

// createNode creates the configuration, the cgroup and the namespaces of a node, and
// connects it to the nodes that exist.
func (c *Cluster) createNode(s state, node layout.Node) error {
	config, err := c.config(s)
	if err != nil {
		return err
	}
	if err := config.WriteFiles(node); err != nil {
		return err
	}
	group, err := sandbox.OpenCgroup(node.Cgroup)
	if err != nil {
		return err
	}
	if err := group.Create(); err != nil {
		return err
	}
	if err := sandbox.CreateNamespaces(node); err != nil {
		return err
	}
	return c.link(s, node)
}

// link connects a new node to the nodes that exist. Nodes reach each other through the first one.
func (c *Cluster) link(s state, node layout.Node) error {
	first := c.layout.Node(1)
	existing := slices.DeleteFunc(c.nodes(s), func(n layout.Node) bool { return !exists(n) })
	if !exists(first) {
		return nil // it is connected to all others when it starts
	}
	for _, other := range existing {
		if other != first && (node == first || node == other) {
			if err := sandbox.Link(first, other); err != nil {
				return err
			}
		}
	}
	for _, from := range existing {
		for _, to := range c.nodes(s) {
			if from == to {
				continue
			}
			if err := sandbox.Route(from, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlink disconnects a node from all others.
func (c *Cluster) unlink(s state, node layout.Node) error {
	if !exists(c.layout.Node(1)) {
		return nil
	}
	for _, other := range c.nodes(s)[1:] {
		if !exists(other) || node.Number != 1 && node != other {
			continue
		}
		if err := sandbox.Unlink(other); err != nil {
			return err
		}
	}
	return nil
}

// exists reports whether the namespaces of a node exist.
func exists(node layout.Node) bool {
	_, err := os.Stat(node.NetworkNamespace())
	return err == nil
}

// writePKI creates new certificates and kubeconfigs.
func (c *Cluster) writePKI(s state) error {
	authority, err := pki.NewAuthority("koordinator-cluster-" + c.layout.Name)
	if err != nil {
		return err
	}
	signing, err := pki.SigningKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{"ca.crt": authority.PEM, "sa.crt": signing.Cert, "sa.key": signing.Key}
	for name, subject := range subjects(c.layout) {
		pair, err := authority.Issue(subject)
		if err != nil {
			return err
		}
		files[name+".crt"], files[name+".key"] = pair.Cert, pair.Key
		inside, err := pki.Kubeconfig(c.layout.Name, "https://"+part.APIServerAddress(), authority.PEM, pair)
		if err != nil {
			return err
		}
		files[name+".kubeconfig"] = inside
	}
	outside, err := pki.Kubeconfig(c.layout.Name, address(s.Port), authority.PEM, pki.Pair{Cert: files["admin.crt"], Key: files["admin.key"]})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.layout.PKI(), 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(c.layout.PKI(), name), content, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(c.layout.Kubeconfig(), outside, 0o600)
}

// address returns the URL of the API server for the host.
func address(port int) string {
	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// freePort returns a port of the host's loopback that is not in use.
func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// writeOwn writes the archives of the images that every node has.
func (c *Cluster) writeOwn(programs release.Programs) error {
	own := c.ownArchives()
	if err := image.WritePause(own[0], programs.Pause); err != nil {
		return err
	}
	return image.WriteBusybox(own[1], release.Busybox)
}

// ownArchives returns the paths of the archives that writeOwn writes.
func (c *Cluster) ownArchives() []string {
	return []string{filepath.Join(c.layout.Data, "pause.tar"), filepath.Join(c.layout.Data, "busybox.tar")}
}

// loading returns the functions that load the images of new nodes, by the name of the part
// that must work first.
func (c *Cluster) loading(ctx context.Context, s state, nodes ...layout.Node) map[string]func() error {
	load := map[string]func() error{}
	for _, node := range nodes {
		load[part.On(node.Number, part.Containerd)] = func() error { return c.loadArchives(ctx, s.first().Bin, node, c.ownArchives()) }
	}
	return load
}

// loadArchives makes the containerd of a node, which must work, import archives into the
// namespace that the kubelet uses. The given label replaces the labels that a previous image of the same
// name had. With one of these labels, containerd's CRI plugin would assume that it knows
// the new image by its digest, and could not mount the image as a volume.
func (c *Cluster) loadArchives(ctx context.Context, bin string, node layout.Node, archives []string) error {
	for _, archive := range archives {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "ctr"), "--address", node.ContainerdSocket(), "--namespace", "k8s.io",
			"images", "import", "--local", "--label", "koordinator.io/loaded=", archive)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("load %s: %w: %s", archive, err, output)
		}
	}
	return nil
}
