package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"koordinator.io/koordinator/test/cluster/image"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/pki"
	"koordinator.io/koordinator/test/cluster/release"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// subjects are the certificates of a cluster by file name.
var subjects = map[string]pki.Subject{
	"apiserver": {
		Name: "kube-apiserver",
		DNS:  []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		// The host uses loopback to reach the forwarder; pods use the first service address.
		IPs: []string{"127.0.0.1", "10.96.0.1", sandbox.NodeIP},
	},
	"admin":              {Name: "admin", Groups: []string{"system:masters"}},
	"controller-manager": {Name: "system:kube-controller-manager"},
	"kubelet": {
		Name: "system:node:" + part.NodeName, Groups: []string{"system:nodes"},
		DNS: []string{part.NodeName}, IPs: []string{sandbox.NodeIP},
	},
	"proxy":     {Name: "system:kube-proxy"},
	"scheduler": {Name: "system:kube-scheduler"},
}

// prepare creates everything that the parts need when they start: directories,
// certificates, configuration, cgroup and namespaces.
func (c *Cluster) prepare(s state) error {
	for _, dir := range []string{c.layout.Run, c.layout.Data, c.layout.Log} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := c.save(s); err != nil {
		return err
	}
	if err := c.writePKI(s.Port); err != nil {
		return err
	}
	config, err := c.config(s)
	if err != nil {
		return err
	}
	if err := config.WriteFiles(); err != nil {
		return err
	}
	group, err := sandbox.OpenCgroup(c.layout.Cgroup())
	if err != nil {
		return err
	}
	if err := group.Create(); err != nil {
		return err
	}
	return sandbox.CreateNamespaces(c.layout)
}

// writePKI creates new certificates and kubeconfigs. port is the port of the forwarder.
func (c *Cluster) writePKI(port int) error {
	authority, err := pki.NewAuthority("koordinator-cluster-" + c.layout.Name)
	if err != nil {
		return err
	}
	signing, err := pki.SigningKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{"ca.crt": authority.PEM, "sa.crt": signing.Cert, "sa.key": signing.Key}
	for name, subject := range subjects {
		pair, err := authority.Issue(subject)
		if err != nil {
			return err
		}
		files[name+".crt"], files[name+".key"] = pair.Cert, pair.Key
		inside, err := pki.Kubeconfig(c.layout.Name, "https://"+part.APIServerAddress, authority.PEM, pair)
		if err != nil {
			return err
		}
		files[name+".kubeconfig"] = inside
	}
	outside, err := pki.Kubeconfig(c.layout.Name, address(port), authority.PEM, pki.Pair{Cert: files["admin.crt"], Key: files["admin.key"]})
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

// loadOwn creates and loads the images that every cluster has.
func (c *Cluster) loadOwn(ctx context.Context, programs release.Programs) error {
	pauseArchive, busyboxArchive := filepath.Join(c.layout.Data, "pause.tar"), filepath.Join(c.layout.Data, "busybox.tar")
	if err := image.WritePause(pauseArchive, programs.Pause); err != nil {
		return err
	}
	if err := image.WriteBusybox(busyboxArchive, release.Busybox); err != nil {
		return err
	}
	return c.loadArchives(ctx, programs.Bin, []string{pauseArchive, busyboxArchive})
}

// loadArchives makes containerd, which must work, import archives into the namespace that
// the kubelet uses. The given label replaces the labels that a previous image of the same
// name had. With one of these labels, containerd's CRI plugin would assume that it knows
// the new image by its digest, and could not mount the image as a volume.
func (c *Cluster) loadArchives(ctx context.Context, bin string, archives []string) error {
	for _, archive := range archives {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "ctr"), "--address", c.layout.ContainerdSocket(), "--namespace", "k8s.io",
			"images", "import", "--local", "--label", "koordinator.io/loaded=", archive)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("load %s: %w: %s", archive, err, output)
		}
	}
	return nil
}
