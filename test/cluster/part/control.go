package part

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"koordinator.io/koordinator/test/cluster/sandbox"
)

// podRange holds the pod IPs; the node gets one /24 of it.
const podRange = "10.244.0.0/16"

// etcdURL is where etcd listens inside the network namespace.
const etcdURL = "http://127.0.0.1:2379"

// forwarder makes the API server reachable from the host.
func (c Config) forwarder() Part {
	return Part{
		Name:    Forwarder,
		Args:    []string{c.Self, "forward", c.Layout.Name, strconv.Itoa(c.Port)},
		Outside: true,
		Health:  "tcp://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)),
		Grace:   grace,
	}
}

// etcd is the store. Nothing in it is worth waiting for the disk.
func (c Config) etcd() Part {
	return Part{
		Name: Etcd,
		Args: []string{
			"etcd", "--data-dir=" + filepath.Join(c.Layout.Data, "etcd"), "--unsafe-no-fsync",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL, "--listen-peer-urls=http://127.0.0.1:2380",
		},
		Health: etcdURL + "/health",
		Grace:  grace,
	}
}

// apiServer is told to prefer InternalIP because nobody resolves the node's name, and kubectl logs needs to reach the kubelet.
func (c Config) apiServer() Part {
	return Part{
		Name:  APIServer,
		After: []string{Etcd},
		Args: append([]string{
			c.program(APIServer), "--etcd-servers=" + etcdURL,
			"--advertise-address=" + sandbox.NodeIP, "--bind-address=0.0.0.0", "--secure-port=6443",
			"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
			"--client-ca-file=" + c.pki("ca.crt"),
			"--kubelet-client-certificate=" + c.pki("admin.crt"), "--kubelet-client-key=" + c.pki("admin.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.pki("sa.crt"), "--service-account-signing-key-file=" + c.pki("sa.key"),
			"--service-cluster-ip-range=" + sandbox.ServiceRange,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			// Without it, watches keep the server from ending until it is killed.
			"--shutdown-watch-termination-grace-period=1s",
			"--audit-policy-file=" + c.config("audit.yaml"), "--audit-log-path=" + c.Layout.AuditLog(),
		}, c.featureGates()...),
		Health: "https://127.0.0.1:6443/readyz",
		Grace:  grace,
	}
}

// controllerManager runs alone, so it elects no leader.
func (c Config) controllerManager() Part {
	return Part{
		Name:  ControllerManager,
		After: []string{APIServer},
		Args: []string{
			c.program(ControllerManager), "--kubeconfig=" + c.pki("controller-manager.kubeconfig"), "--leader-elect=false",
			"--root-ca-file=" + c.pki("ca.crt"), "--service-account-private-key-file=" + c.pki("sa.key"), "--use-service-account-credentials=true",
			"--allocate-node-cidrs=true", "--cluster-cidr=" + podRange, "--service-cluster-ip-range=" + sandbox.ServiceRange,
			"--bind-address=127.0.0.1", "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
			// Its own limit would make it take four seconds to get a token for each of its controllers.
			"--kube-api-qps=500", "--kube-api-burst=1000",
		},
		Health: "https://127.0.0.1:10257/healthz",
		Grace:  grace,
	}
}

// scheduler runs alone too.
func (c Config) scheduler() Part {
	return Part{
		Name:  Scheduler,
		After: []string{APIServer},
		Args: []string{
			c.program(Scheduler), "--kubeconfig=" + c.pki("scheduler.kubeconfig"), "--leader-elect=false", "--bind-address=127.0.0.1",
		},
		Health: "https://127.0.0.1:10259/healthz",
		Grace:  grace,
	}
}

// featureGates switches on what this version has and leaves off: image volumes, which came with 1.31, are on by default since 1.35, and once
// that is final the switch will go away; and the stop signal of a container, which came with 1.33.
func (c Config) featureGates() []string {
	fields := strings.Split(c.Kubernetes, ".")
	if len(fields) < 2 {
		return nil
	}
	minor, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil
	}
	var gates []string
	if minor < 35 {
		gates = append(gates, "ImageVolume=true")
	}
	if minor >= 33 {
		gates = append(gates, "ContainerStopSignals=true")
	}
	return []string{"--feature-gates=" + strings.Join(gates, ",")}
}

// program is the path of a built program.
func (c Config) program(name string) string { return filepath.Join(c.Bin, name) }

// pki is the path of a certificate, key or kubeconfig.
func (c Config) pki(name string) string { return filepath.Join(c.Layout.PKI(), name) }
