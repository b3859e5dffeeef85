// Package nodes watches the versions of the cluster's nodes and reports whether a
// pod may mount an image as a volume wherever it is scheduled.
//
// It reads the output of "kubectl get nodes -o wide", which has about 300 bytes
// per node, while a Node object has 10 to 20 KiB. A version that is missing or
// cannot be parsed counts as too old.
package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
)

// The lowest versions that mount an image as a volume without a feature gate: of
// Kubernetes, of the container runtimes by name, and of Linux, which must map
// user IDs on overlay file systems.
var (
	leastKubelet  = version.MustParseGeneric("1.35")
	leastKernel   = version.MustParseGeneric("5.14")
	leastRuntimes = map[string]*version.Version{
		"containerd": version.MustParseGeneric("2.1"),
		"cri-o":      version.MustParseGeneric("1.31"),
	}
)

const (
	every    = 30 * time.Second // between two checks
	limit    = 30 * time.Second // for one check
	pageSize = 500              // nodes per answer
)

// tableOf requests the table that kubectl prints.
const tableOf = "application/json;as=Table;v=v1;g=meta.k8s.io"

// Watcher checks the nodes periodically.
type Watcher struct {
	api rest.Interface // for the core group
	log *slog.Logger

	able   atomic.Bool
	reason string // why not, according to the last check
}

// New returns a watcher that has not checked the nodes yet. api is a client for
// the core group.
func New(api rest.Interface, log *slog.Logger) *Watcher {
	return &Watcher{api: api, log: log, reason: "not looked yet"}
}

// ImageVolumes reports whether every schedulable node mounts images as volumes,
// according to the last check. It returns false before the first check and while
// checks fail.
func (w *Watcher) ImageVolumes() bool { return w.able.Load() }

// Start checks the nodes repeatedly until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// NeedLeaderElection returns false: every replica checks the nodes.
func (*Watcher) NeedLeaderElection() bool { return false }

// look checks the nodes once, and logs a changed result.
func (w *Watcher) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reason := ""
	if err := w.check(ctx); err != nil {
		reason = err.Error()
	}
	if ctx.Err() == nil && reason != w.reason {
		w.log.Info("nodes listed", "imageVolumes", reason == "", "reason", reason)
	}
	w.reason = reason
	w.able.Store(reason == "")
}

// check returns why a node cannot mount images, or nil if all nodes can.
func (w *Watcher) check(ctx context.Context) error {
	found := 0
	for next := ""; ; {
		table, err := w.page(ctx, next)
		if err != nil {
			return fmt.Errorf("list nodes: %w", err)
		}
		n, err := judge(table)
		if err != nil {
			return err
		}
		found += n
		if next = table.Continue; next != "" {
			continue
		}
		if found == 0 {
			return errors.New("there is no schedulable node")
		}
		return nil
	}
}

// page returns one answer of the API server.
func (w *Watcher) page(ctx context.Context, next string) (*metav1.Table, error) {
	request := w.api.Get().Resource("nodes").SetHeader("Accept", tableOf).Param("includeObject", string(metav1.IncludeNone)).Param("limit", strconv.Itoa(pageSize))
	if next != "" {
		request.Param("continue", next)
	}
	data, err := request.Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(data, table); err != nil {
		return nil, err
	}
	if table.Kind != "Table" {
		return nil, fmt.Errorf("the API server answered with a %s, not with a table", table.Kind)
	}
	return table, nil
}

// judge returns how many nodes of a table are schedulable and run Linux, or why
// one of them cannot mount images.
func judge(table *metav1.Table) (found int, err error) {
	column := map[string]int{}
	for i, c := range table.ColumnDefinitions {
		column[c.Name] = i
	}
	for _, row := range table.Rows {
		cell := func(name string) string {
			i, there := column[name]
			if !there || i >= len(row.Cells) {
				return ""
			}
			text, _ := row.Cells[i].(string)
			return text
		}
		if slices.Contains(strings.Split(cell("Status"), ","), "SchedulingDisabled") || strings.HasPrefix(cell("OS-Image"), "Windows") {
			continue
		}
		found++
		for _, e := range []error{
			atLeast("kubelet", cell("Version"), leastKubelet),
			runtime(cell("Container-Runtime")),
			atLeast("kernel", cell("Kernel-Version"), leastKernel),
		} {
			if e != nil {
				return found, fmt.Errorf("node %q: %w", cell("Name"), e)
			}
		}
	}
	return found, nil
}

// runtime checks the version of a container runtime, for example
// containerd://2.1.4.
func runtime(text string) error {
	name, number, _ := strings.Cut(text, "://")
	least, known := leastRuntimes[name]
	if !known {
		return fmt.Errorf("container runtime %q is not known to mount images", text)
	}
	return atLeast(name, number, least)
}

// atLeast checks a version, which may have a suffix of its distribution.
func atLeast(what, text string, least *version.Version) error {
	v, err := version.ParseGeneric(text)
	if err != nil {
		return fmt.Errorf("%s has a version that cannot be read: %q", what, text)
	}
	if v.LessThan(least) {
		return fmt.Errorf("%s %s is older than %s", what, text, least)
	}
	return nil
}
