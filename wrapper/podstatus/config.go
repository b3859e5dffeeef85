package podstatus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// Config contains the address of the API server, the credentials, the name of
// the wrapper's own pod, and the logging options. As JSON it is the input of
// the network program's watch task.
type Config struct {
	Server    string `json:"server"`    // base URL: https://10.96.0.1:443
	TokenFile string `json:"tokenFile"` // bearer token, read again for every request
	CAFile    string `json:"caFile"`    // PEM; the only trusted roots
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`

	Container string `json:"container,omitempty"` // the wrapper's container, for log lines
	LogLevel  string `json:"logLevel,omitempty"`  // as in the spec
}

// FromCluster returns the Config for the pod that this process runs in, from
// its environment and mounted files. The error names everything that is
// missing.
func FromCluster(getenv func(string) string) (Config, error) {
	return fromCluster(getenv, os.ReadFile)
}

// fromCluster is FromCluster with a file system for tests.
func fromCluster(getenv func(string) string, readFile func(string) ([]byte, error)) (Config, error) {
	access := spec.APIAccess
	if _, err := readFile(path.Join(spec.OwnAPIAccess, "token")); err == nil {
		access = spec.OwnAPIAccess
	}
	c := Config{
		Server:    server(getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")),
		TokenFile: path.Join(access, "token"),
		CAFile:    path.Join(access, "ca.crt"),
		Namespace: podinfo(getenv(spec.EnvPodNamespace), "namespace", readFile),
		Pod:       podinfo(getenv(spec.EnvPodName), "name", readFile),
	}
	var errs []error
	if c.Server == "" {
		errs = append(errs, errors.New("KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is empty: the kubelet sets both in every container, so remove what empties them from env, or set both to the API server's address"))
	}
	for _, file := range []string{c.TokenFile, c.CAFile} {
		if _, err := readFile(file); err != nil {
			errs = append(errs, fmt.Errorf("%w: remove automountServiceAccountToken: false from the pod and its service account, or mount a projected token with ca.crt at %s", err, spec.APIAccess))
		}
	}
	errs = append(errs, missing(c.Pod, "pod name", spec.EnvPodName, "name"),
		missing(c.Namespace, "namespace", spec.EnvPodNamespace, "namespace"))
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("find the own pod at the API server: %w", err)
	}
	return c, nil
}

// server returns the base URL, or "" if host or port is missing. It adds the
// brackets of an IPv6 host.
func server(host, port string) string {
	host = strings.Trim(strings.TrimSpace(host), "[]")
	port = strings.TrimSpace(port)
	if host == "" || port == "" {
		return ""
	}
	return "https://" + net.JoinHostPort(host, port)
}

// podinfo returns value, or else the content of file in the first directory
// that has it.
func podinfo(value, file string, readFile func(string) ([]byte, error)) string {
	if value = strings.TrimSpace(value); value != "" {
		return value
	}
	for _, dir := range []string{spec.PodinfoDir, spec.HBTPodinfo} {
		content, err := readFile(path.Join(dir, file))
		if text := strings.TrimSpace(string(content)); err == nil && text != "" {
			return text
		}
	}
	return ""
}

// missing returns nil if value is set, otherwise an error with the possible
// sources of the value.
func missing(value, what, env, file string) error {
	if value != "" {
		return nil
	}
	return fmt.Errorf("%s unknown: set %s from fieldRef metadata.%s, or mount a downward API volume with the file %s at %s or %s",
		what, env, file, file, spec.PodinfoDir, spec.HBTPodinfo)
}
