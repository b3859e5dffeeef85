package part

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"koordinator.io/koordinator/test/cluster/sandbox"
)

// etcdURL is the address of etcd inside the network namespace.
const etcdURL = "http://127.0.0.1:2379"

// forwarder makes the API server reachable from the host.
func (c Config) forwarder() Part {
	return Part{
		Name:    Forwarder,
		Node:    1,
		Args:    []string{c.Self, "forward", c.Layout.Name, strconv.Itoa(c.Port)},
		Outside: true,
		Health:  "tcp://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)),
		Grace:   grace,
	}
}

// etcd is the store. Its data does not need to survive, so it does not wait for the disk.
func (c Config) etcd() Part {
	return Part{
		Name: Etcd,
		Node: 1,
		Args: []string{
			"etcd", "--data-dir=" + filepath.Join(c.Layout.Data, "etcd"), "--unsafe-no-fsync",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL, "--listen-peer-urls=http://127.0.0.1:2380",
		},
		Health: etcdURL + "/health",
		Grace:  grace,
	}
}

// apiServer prefers InternalIP, because the node's name cannot be resolved and kubectl logs
// needs to reach the kubelet.
func (c Config) apiServer() Part {
	return Part{
		Name:  APIServer,
		Node:  1,
		After: []string{Etcd},
		Args: append([]string{
			c.program(1, APIServer), "--etcd-servers=" + etcdURL,
			"--advertise-address=" + sandbox.NodeIP(1), "--bind-address=0.0.0.0", "--secure-port=6443",
			"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
			"--client-ca-file=" + c.pki("ca.crt"),
			"--kubelet-client-certificate=" + c.pki("admin.crt"), "--kubelet-client-key=" + c.pki("admin.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.pki("sa.crt"), "--service-account-signing-key-file=" + c.pki("sa.key"),
			"--service-cluster-ip-range=" + sandbox.ServiceRange,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			// Without this flag, open watches keep the server from ending until it is killed.
			"--shutdown-watch-termination-grace-period=1s",
			"--audit-policy-file=" + c.config("audit.yaml"), "--audit-log-path=" + c.Layout.AuditLog(),
		}, c.featureGates(1)...),
		Health: "https://127.0.0.1:6443/readyz",
		Grace:  grace,
	}
}

// controllerManager elects no leader, because there is only one.
func (c Config) controllerManager() Part {
	return Part{
		Name:  ControllerManager,
		Node:  1,
		After: []string{APIServer},
		Args: []string{
			c.program(1, ControllerManager), "--kubeconfig=" + c.pki("controller-manager.kubeconfig"), "--leader-elect=false",
			"--root-ca-file=" + c.pki("ca.crt"), "--service-account-private-key-file=" + c.pki("sa.key"), "--use-service-account-credentials=true",
			"--service-cluster-ip-range=" + sandbox.ServiceRange,
			"--bind-address=127.0.0.1", "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
			// With the default limits, it would need four seconds to get a token for each
			// of its controllers.
			"--kube-api-qps=500", "--kube-api-burst=1000",
		},
		Health: "https://127.0.0.1:10257/healthz",
		Grace:  grace,
	}
}

// scheduler elects no leader either.
func (c Config) scheduler() Part {
	return Part{
		Name:  Scheduler,
		Node:  1,
		After: []string{APIServer},
		Args: []string{
			c.program(1, Scheduler), "--kubeconfig=" + c.pki("scheduler.kubeconfig"), "--leader-elect=false", "--bind-address=127.0.0.1",
		},
		Health: "https://127.0.0.1:10259/healthz",
		Grace:  grace,
	}
}

// featureGates enables features that are off by default in the version of a node. Image volumes
// came with 1.31 and are on by default since 1.35. Stop signals of containers came with 1.33. A
// gate no longer exists some releases after its feature is final, and must then be removed
// here.
func (c Config) featureGates(node int) []string {
	fields := strings.Split(c.release(node).Kubernetes, ".")
	if len(fields) < 2 {
		return nil
	}
	minor, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil
	}
	var gates []string
	if minor >= 31 && minor < 35 {
		gates = append(gates, "ImageVolume=true")
	}
	if minor >= 33 {
		gates = append(gates, "ContainerStopSignals=true")
	}
	return []string{"--feature-gates=" + strings.Join(gates, ",")}
}

// program returns the path of a built program of a node.
func (c Config) program(node int, name string) string {
	return filepath.Join(c.release(node).Bin, name)
}

// pki returns the path of a certificate, key or kubeconfig.
func (c Config) pki(name string) string { return filepath.Join(c.Layout.PKI(), name) }
