package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// node is a row of the table, in the order of columns.
type node struct{ name, status, version, os, kernel, runtime string }

var columns = []string{"Name", "Status", "Version", "OS-Image", "Kernel-Version", "Container-Runtime"}

// fit is a node that mounts images.
var fit = node{"fit", "Ready", "v1.36.3", "Debian GNU/Linux 13", "6.12.9-amd64", "containerd://2.1.4"}

// table returns the table of nodes that the API server would return.
func table(nodes ...node) *metav1.Table {
	t := &metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/v1"}}
	for _, c := range columns {
		t.ColumnDefinitions = append(t.ColumnDefinitions, metav1.TableColumnDefinition{Name: c, Type: "string"})
	}
	for _, n := range nodes {
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{n.name, n.status, n.version, n.os, n.kernel, n.runtime}})
	}
	return t
}

// with returns the fit node with a change.
func with(change func(*node)) node {
	n := fit
	change(&n)
	return n
}

func TestANodeThatCannotMountImagesIsNamedWithTheReason(t *testing.T) {
	for name, test := range map[string]struct {
		node node
		want string // "": it can mount images
	}{
		"a fit one":                       {fit, ""},
		"not ready yet":                   {with(func(n *node) { n.status = "NotReady" }), ""},
		"the oldest that can":             {with(func(n *node) { n.version, n.kernel, n.runtime = "v1.35.0", "5.14.0-570.el9", "cri-o://1.31.0" }), ""},
		"a version of a provider":         {with(func(n *node) { n.version = "v1.36.1-gke.1234000" }), ""},
		"an old kubelet":                  {with(func(n *node) { n.version = "v1.34.9" }), "kubelet v1.34.9 is older than 1.35"},
		"an old containerd":               {with(func(n *node) { n.runtime = "containerd://2.0.5" }), "containerd 2.0.5 is older than 2.1"},
		"an old CRI-O":                    {with(func(n *node) { n.runtime = "cri-o://1.30.2" }), "cri-o 1.30.2 is older than 1.31"},
		"an old kernel":                   {with(func(n *node) { n.kernel = "5.10.0-21-cloud-amd64" }), "kernel 5.10.0-21-cloud-amd64 is older than 5.14"},
		"another runtime":                 {with(func(n *node) { n.runtime = "docker://29.0.0" }), `container runtime "docker://29.0.0" is not known`},
		"no runtime":                      {with(func(n *node) { n.runtime = "<unknown>" }), "is not known"},
		"a virtual node":                  {with(func(n *node) { n.version, n.runtime = "v1.36.0-vk-azure-aci-1.6", "" }), "is not known"},
		"no version":                      {with(func(n *node) { n.version = "" }), "cannot be read"},
		"an unschedulable old one":        {with(func(n *node) { n.status, n.version = "Ready,SchedulingDisabled", "v1.30.0" }), "no schedulable node"},
		"one of another operating system": {with(func(n *node) { n.os, n.kernel = "Windows Server 2022 Datacenter", "10.0.20348.2582" }), "no schedulable node"},
	} {
		t.Run(name, func(t *testing.T) {
			have := ""
			if err := serve(t, table(test.node)).check(t.Context()); err != nil {
				have = err.Error()
			}
			if have != test.want && (test.want == "" || !strings.Contains(have, test.want)) {
				t.Errorf("have %q, want %q", have, test.want)
			}
			if test.want != "" && !strings.Contains(test.want, "no schedulable") && !strings.Contains(have, `node "fit"`) {
				t.Errorf("the node is not named: %q", have)
			}
		})
	}
}

func TestATableWithoutAColumnOfVersionsIsNoPermission(t *testing.T) {
	for i, name := range columns {
		if name == "Name" || name == "Status" || name == "OS-Image" {
			continue
		}
		cut := table(fit)
		cut.ColumnDefinitions[i].Name = "Something-Else"
		if _, err := judge(cut); err == nil {
			t.Errorf("nodes without the column %s may mount images", name)
		}
	}
}

// serve returns a watcher of an API server that answers with these tables, one
// per page.
func serve(t *testing.T, pages ...*metav1.Table) *Watcher {
	t.Helper()
	return watch(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != tableOf || r.URL.Path != "/api/v1/nodes" || r.FormValue("includeObject") != "None" {
			t.Errorf("asked for %s with Accept %q", r.URL, r.Header.Get("Accept"))
		}
		at := 0
		if text := r.FormValue("continue"); text != "" {
			if _, err := fmt.Sscan(text, &at); err != nil {
				t.Error(err)
			}
		}
		page := *pages[at]
		if at+1 < len(pages) {
			page.Continue = fmt.Sprint(at + 1)
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Error(err)
		}
	})
}

func watch(t *testing.T, answer http.HandlerFunc) *Watcher {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	api, err := rest.RESTClientFor(&rest.Config{Host: server.URL, APIPath: "/api", ContentConfig: rest.ContentConfig{
		GroupVersion: &schema.GroupVersion{Version: "v1"}, NegotiatedSerializer: scheme.Codecs.WithoutConversion(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return New(api, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func TestEveryPageIsRead(t *testing.T) {
	old := with(func(n *node) { n.name, n.version = "old", "v1.30.0" })
	w := serve(t, table(fit, fit), table(), table(fit, old))
	if err := w.check(t.Context()); err == nil || !strings.Contains(err.Error(), `node "old"`) {
		t.Errorf("have %v, want the old node of the last page", err)
	}
}

func TestTheReportFollowsTheLastLook(t *testing.T) {
	fails := true
	w := watch(t, func(w http.ResponseWriter, _ *http.Request) {
		if fails {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(table(fit))
	})
	if w.ImageVolumes() {
		t.Error("before the first look nodes count as able")
	}
	w.look(t.Context())
	if w.ImageVolumes() {
		t.Error("a look that failed counts as a permission")
	}
	fails = false
	w.look(t.Context())
	if !w.ImageVolumes() {
		t.Error("fit nodes are not able")
	}
	fails = true
	w.look(t.Context())
	if w.ImageVolumes() {
		t.Error("the look before the last one counts")
	}
}

func TestTheEndOfTheContextEndsTheWatchWithoutAnError(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := serve(t, table(fit)).Start(ended); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatIsNoTableIsAnError(t *testing.T) {
	w := watch(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind": "NodeList", "apiVersion": "v1", "items": []}`)
	})
	if err := w.check(t.Context()); err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "NodeList") {
		t.Errorf("have %v", err)
	}
}
