//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/cli/command"
	"koordinator.io/koordinator/cli/history"
)

// tool runs kubectl koordinator, and returns its output.
func tool(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := command.Main(args, os.Stdin, &out, &problems); code != want {
		t.Fatalf("kubectl koordinator %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &out, &problems)
	}
	return out.String()
}

// inCluster returns the tool's arguments for a target in a namespace.
func inCluster(ns, target string, more ...string) []string {
	return append([]string{more[0], target, "-n", ns, "--kubeconfig", cluster.Kubeconfig}, more[1:]...)
}

func TestTheToolShowsWhatHappenedInAJob(t *testing.T) {
	abreast(t)
	file := filepath.Join(cluster.Root, "config/samples", jobSample+".yaml")
	for name, test := range map[string]struct{ from, to, first string }{
		"it completes": {"", "", "Pod "},
		"it fails":     {"exit 0\n        - name: proxy", "exit 3\n        - name: proxy", `Cause: container "main" exited with code 3`},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t, enabled)
			apply(t, ns, strings.Replace(sample(t, jobSample), test.from, test.to, min(1, len(test.from))))
			pod, _ := job(t, ns, jobSample)
			text := tool(t, 0, inCluster(ns, "job/"+jobSample, "timeline")...)
			if !strings.HasPrefix(text, test.first) || !strings.Contains(text, "SIGTERM: main exited with code") {
				t.Errorf("timeline:\n%s", text)
			}
			chain := tool(t, 0, inCluster(ns, "job/"+jobSample, "timeline", "--critical-chain")...)
			rest := chain
			for _, step := range []string{"proxy exited", "proxy stopping", "─main exited", "─main started", "─proxy ready", "─proxy started", "─pod created"} {
				_, after, found := strings.Cut(rest, step)
				if !found {
					t.Fatalf("critical chain without %q, or in another order:\n%s", step, chain)
				}
				rest = after
			}
			code := fmt.Sprint(terminated(t, pod, "main").ExitCode)
			status := tool(t, 0, inCluster(ns, "pod/"+pod.Name, "status")...)
			if !strings.Contains(status, "exit code "+code) || strings.Count(status, "exited") < 2 {
				t.Errorf("status:\n%s", status)
			}
			order := func(text string) string { _, rest, _ := strings.Cut(text, "\n"); return rest }
			if diff := cmp.Diff(order(tool(t, 0, "graph", "-f", file)), order(tool(t, 0, inCluster(ns, "job/"+jobSample, "graph")...))); diff != "" {
				t.Errorf("graph (-manifest +cluster):\n%s", diff)
			}
			for _, format := range []string{"svg", "html", "json"} {
				if out := tool(t, 0, inCluster(ns, "job/"+jobSample, "timeline", "-o", format)...); !strings.Contains(out, "proxy") {
					t.Errorf("%s:\n%s", format, out)
				}
			}
		})
	}
}

func TestTheStatusIsFollowedUntilTheJobHasEnded(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	const untilFile = "until [ -e /tmp/go ]; do sleep 0.1; done\n" // in place of a time, in which the tool may miss a state
	apply(t, ns, strings.NewReplacer("sleep 2\n", untilFile, "sleep 3\n", untilFile).Replace(sample(t, jobSample)))
	eventually(t, "the pod of the Job", func() (bool, string) {
		return len(pods(t, ns, "job-name="+jobSample)) == 1, ""
	})
	pod := onePod(t, ns, "job-name="+jobSample)
	var out written
	end := make(chan int, 1)
	go func() {
		end <- command.Main(inCluster(ns, "job/"+jobSample, "status", "-w"), os.Stdin, &out, &out)
	}()
	from := 0
	for _, step := range []struct{ state, goes string }{
		{"main +waiting", ""}, {"proxy +starting", "proxy"}, {"proxy +ready", "main"}, {"main +exited .* exit code 0", ""}, {"proxy +exited .* SIGTERM", ""},
	} {
		eventually(t, step.state+" in the status", func() (bool, string) {
			rest := out.String()[from:]
			at := regexp.MustCompile(step.state).FindStringIndex(rest)
			if at != nil {
				from += at[0]
			}
			return at != nil, rest
		})
		if step.goes != "" {
			kubectl(t, "-n", ns, "exec", pod.Name, "-c", step.goes, "--", "touch", "/tmp/go")
		}
	}
	if code := <-end; code != 0 {
		t.Errorf("exit code %d:\n%s", code, out.String())
	}
}

// written holds what a program has written so far.
type written struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *written) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(data)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// TestTheSampleJobIsInjectedWithoutAWebhook runs the Job in a namespace for which
// koordinator's webhook is not called, and in which the Job may not read anything from the
// API server.
func TestTheSampleJobIsInjectedWithoutAWebhook(t *testing.T) {
	abreast(t)
	ns := namespace(t) // a namespace without the label
	manifest := strings.Replace(sample(t, jobSample), "      annotations:\n", "      annotations:\n        koordinator.io/source: local # no permission is needed\n", 1)
	dir := t.TempDir()
	before, after := filepath.Join(dir, "job.yaml"), filepath.Join(dir, "injected.yaml")
	if err := os.WriteFile(before, []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	injected := tool(t, 0, "inject", "-f", before, "--wrapper-image", "koordinator/wrapper:dev")
	if err := os.WriteFile(after, []byte(injected), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest, tool(t, 0, "uninject", "-f", after)); diff != "" {
		t.Errorf("uninject (-before +after):\n%s", diff)
	}
	apply(t, ns, injected)
	pod, condition := job(t, ns, jobSample)
	if condition != "Complete" {
		t.Errorf("Job %s, want Complete", condition)
	}
	inJobOrder(t, ns, pod, "done")
	if text := checked(t, 1, ns, "pod/"+pod.Name); !strings.Contains(text, "× the namespace is not enabled") || !strings.Contains(text, "√ injected") {
		t.Errorf("check:\n%s", text)
	}
	if bindings := kubectl(t, "-n", ns, "get", "rolebinding", "-o", "name"); bindings != "" {
		t.Errorf("the namespace has %s", bindings)
	}
	requests := audited(t, func(r request) bool {
		return r.User.Username == "system:serviceaccount:"+ns+":default" || slices.Contains(r.SourceIPs, pod.Status.PodIP) && strings.Contains(r.RequestURI, ns)
	})
	if len(requests) > 0 {
		t.Errorf("requests to the API server: %v", requests)
	}
}

// ran holds the events of a pod that the simulation can predict.
type ran struct {
	Started, Ended []string          // containers in the order of the events
	Results        map[string]string // exit code and reason, by container
}

// read returns the events of a timeline in JSON.
func read(t *testing.T, text string) ran {
	t.Helper()
	var all []struct {
		Lanes []struct {
			Container history.Container
			Result    string
		}
		Log []history.Event
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
		t.Fatalf("%d timelines, %v:\n%s", len(all), err, text)
	}
	r := ran{Results: map[string]string{}}
	for _, l := range all[0].Lanes {
		r.Results[l.Container.Name] = l.Result
	}
	for _, e := range all[0].Log {
		switch e.Kind {
		case history.Started:
			r.Started = append(r.Started, e.Container)
		case history.Terminated:
			r.Ended = append(r.Ended, e.Container)
		default: // only the order of starts and ends is compared
		}
	}
	return r
}

// simulated lists pods of other tests. Each has options of simulate that describe its
// commands. A command that is stopped takes some seconds to end: containers that end at the
// same moment can end in any order.
var simulated = map[string]struct {
	annotations string
	containers  []string // name and shell command of each
	script      []string
}{
	"a proxy that stops with main": {
		`{koordinator.io/start-deps: "main: proxy=started", koordinator.io/stop-deps: "proxy: main"}`,
		[]string{"main", "sleep 2", "proxy", "trap 'sleep 3; exit 0' TERM; sleep 3600 & wait"},
		[]string{"--run", "main=2s"},
	},
	"a failure that is passed on": {
		`{koordinator.io/start-deps: "{main: migrate=succeeded, after: main=exited}"}`,
		[]string{"main", "true", "migrate", "sleep 1; exit 3", "after", "sleep 1"},
		[]string{"--run", "migrate=1s:3", "--run", "after=1s"},
	},
	"a start timeout": {
		`{koordinator.io/start-deps: "main: slow=exited", koordinator.io/start-timeout: "main: 2s"}`,
		[]string{"main", "true", "slow", "sleep 5"},
		[]string{"--run", "slow=5s"},
	},
	"an essential container that fails": {
		`{koordinator.io/essential: main, koordinator.io/start-deps: "main: side=started", koordinator.io/stopped-exit-code: "side: 7"}`,
		[]string{"main", "sleep 2; exit 4", "side", "trap 'sleep 3; exit 0' TERM; sleep 3600 & wait"},
		[]string{"--run", "main=2s:4"},
	},
	"an optional dependency that fails": {
		`{koordinator.io/start-deps: "{main: ['cache=succeeded?']}"}`,
		[]string{"main", "sleep 1", "cache", "sleep 2; exit 5"},
		[]string{"--run", "cache=2s:5", "--run", "main=1s"},
	},
	"a stop that waits for all": {
		`{koordinator.io/start-deps: "{one: proxy=started, two: one=exited}", koordinator.io/stop-deps: "proxy: one, two", koordinator.io/stop-when: "proxy: all"}`,
		[]string{"one", "sleep 1", "two", "sleep 1", "proxy", "trap 'sleep 3; exit 3' TERM; sleep 3600 & wait"},
		[]string{"--run", "one=1s", "--run", "two=1s"},
	},
	"a command that has to be killed": {
		`{koordinator.io/start-deps: "main: proxy=started", koordinator.io/stop-deps: "proxy: main", koordinator.io/stop-timeout: "proxy: 2s", koordinator.io/killed-exit-code: "proxy: 9"}`,
		[]string{"main", "sleep 1", "proxy", "trap '' TERM; while true; do sleep 1; done"},
		[]string{"--run", "main=1s", "--stop", "proxy=never"},
	},
}

func TestTheSimulationAgreesWithTheCluster(t *testing.T) {
	abreast(t)
	for name, test := range simulated {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t, enabled)
			manifest := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: simulated}\nspec:\n  backoffLimit: 0\n  template:\n" +
				"    metadata: {annotations: " + test.annotations + "}\n    spec:\n      restartPolicy: Never\n      containers:\n"
			for pair := range slices.Chunk(test.containers, 2) {
				manifest += fmt.Sprintf("        - {name: %s, image: 'busybox:1.37', command: [sh, -c, %q]}\n", pair[0], pair[1])
			}
			file := filepath.Join(t.TempDir(), "job.yaml")
			if err := os.WriteFile(file, []byte(manifest), 0o644); err != nil {
				t.Fatal(err)
			}
			apply(t, ns, manifest)
			job(t, ns, "simulated")
			have := read(t, tool(t, 0, append([]string{"simulate", "-f", file, "-o", "json"}, test.script...)...))
			want := read(t, tool(t, 0, inCluster(ns, "job/simulated", "timeline", "-o", "json")...))
			if name == "a failure that is passed on" { // main ends when migrate does
				slices.Sort(have.Ended)
				slices.Sort(want.Ended)
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("(-cluster +simulation):\n%s", diff)
			}
		})
	}
}
