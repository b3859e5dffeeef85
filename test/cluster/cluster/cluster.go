// Package cluster starts and stops a Kubernetes of one or more nodes, and restarts its parts and nodes.
//
// The package determines what runs by observation: the records name the started processes,
// and all their descendants are in the cgroups of their nodes. The state file holds the only fact
// that cannot be observed later: that a start was completed.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/test/cluster/image"
	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/lock"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/release"
)

// Cluster is a cluster that may be up or not.
type Cluster struct {
	layout layout.Layout
	// cache is the directory of the built programs.
	cache string
	// kubernetes is the version that the caller requires, empty for any version.
	kubernetes string
	// progress receives progress messages for the user.
	progress io.Writer
}

// state holds the properties of a start that are needed to start parts again. It is written
// before the first part is started.
type state struct {
	Versions string `json:"versions"`
	Port     int    `json:"port"`
	// Nodes is what each node runs.
	Nodes []part.Release `json:"nodes"`
	// Usable is set when all parts worked, the images were loaded and the node was ready.
	Usable bool `json:"usable"`
}

// MostNodes is the largest number of nodes of a cluster.
const MostNodes = 9

// errDown is the error of commands that require a running cluster.
var errDown = errors.New("the cluster is not up")

// FromEnvironment returns the cluster that KOORDINATOR_CLUSTER, KOORDINATOR_CACHE and
// KUBERNETES_VERSION select. It changes nothing.
func FromEnvironment(progress io.Writer) (*Cluster, error) {
	name := os.Getenv("KOORDINATOR_CLUSTER")
	if name == "" {
		name = layout.DefaultName
	}
	places, err := layout.New(name)
	if err != nil {
		return nil, err
	}
	cache := os.Getenv("KOORDINATOR_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(base, "koordinator")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return nil, err
	}
	return &Cluster{layout: places, cache: cache, kubernetes: os.Getenv("KUBERNETES_VERSION"), progress: progress}, nil
}

// nodeWith returns what a node with these programs runs.
func nodeWith(p release.Programs) part.Release {
	return part.Release{Kubernetes: p.Kubernetes, Bin: p.Bin}
}

// first returns what the first node runs.
func (s state) first() part.Release { return s.Nodes[0] }

// Programs builds what is missing and returns the programs.
func (c *Cluster) Programs(ctx context.Context) (release.Programs, error) {
	version := c.kubernetes
	if version == "" {
		version = release.DefaultKubernetes
	}
	return release.Ensure(ctx, c.cache, version, image.PauseSource, c.progress)
}

// Kubeconfig returns the path of the administrator's kubeconfig, which works on the host.
func (c *Cluster) Kubeconfig() (string, error) {
	if _, err := c.load(); err != nil {
		return "", err
	}
	return c.layout.Kubeconfig(), nil
}

// AuditLog returns the path of the log of requests from pods.
func (c *Cluster) AuditLog() string { return c.layout.AuditLog() }

// exclusive calls change while no other command changes this cluster.
func (c *Cluster) exclusive(ctx context.Context, change func() error) error {
	if err := needRoot(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.layout.Lock()), 0o755); err != nil {
		return err
	}
	unlock, err := lock.Acquire(ctx, c.layout.Lock(), "another command on cluster "+c.layout.Name, c.progress)
	if err != nil {
		return err
	}
	defer unlock()
	return change()
}

// needRoot returns an error unless the user is root.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("not allowed: cgroups, mounts and namespaces need root")
	}
	return nil
}

// save writes the state.
func (c *Cluster) save(s state) error { return writeJSON(c.layout.State(), s) }

// load reads the saved state, or returns errDown.
func (c *Cluster) load() (state, error) {
	var s state
	err := readJSON(c.layout.State(), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, errDown
	}
	return s, err
}

// config returns the configuration of the parts for a start.
func (c *Cluster) config(s state) (part.Config, error) {
	self, err := os.Executable()
	return part.Config{Layout: c.layout, Nodes: s.Nodes, Port: s.Port, Self: self}, err
}

// nodes returns the nodes of a cluster.
func (c *Cluster) nodes(s state) []layout.Node {
	var nodes []layout.Node
	for number := range len(s.Nodes) {
		nodes = append(nodes, c.layout.Node(number+1))
	}
	return nodes
}

// writeJSON writes value to path, atomically.
func writeJSON(path string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", raw, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readJSON reads value from path.
func readJSON(path string, value any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
