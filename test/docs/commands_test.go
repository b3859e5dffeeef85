package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests that run commands of pages unchanged.
const (
	operator = "TestTheCommandsOfTheDocumentation"
	replacer = "TestUpgradeAndRemovalAsDocumented"
	newcomer = "TestLifeOfARelease" // on a cluster without koordinator
)

// run maps the other commands, by page, to the tests that run them, either unchanged or
// with other names and namespaces.
var run = map[string]map[string]string{
	"README.md": {
		"make demo": "TestTheSampleJobCompletes",         // runs the parts of the demo
		"make test": "TestWorkflowsCallTargetsThatExist", // required for every change
		"helm install koordinator charts/koordinator --namespace koordinator-io --create-namespace --wait": newcomer,
		"kubectl label namespace default koordinator.io/injection=enabled":                                 newcomer,
	},
	"charts/koordinator/README.md": {
		"helm install koordinator charts/koordinator --namespace koordinator-io --create-namespace --wait": newcomer,
	},
	"SUPPORT.md": {
		"kubectl -n koordinator-io logs deployment/koordinator --tail=200": operator, // as shown on its page
		"kubectl -n shop get pods -o yaml":                                 operator,
		"kubectl -n shop get events --sort-by=.lastTimestamp":              operator,
	},
	"docs/how-to/air-gap.md": {
		"make images VERSION=v0.0.0-test PLATFORMS=linux/amd64,linux/arm64": "TestImages",
		"make sbom": "TestImages",
		"make push REGISTRY=registry.example/koordinator VERSION=v0.0.0-test": "TestImages",
		"make package VERSION=v0.0.0-test":                                    operator,
	},
	"docs/how-to/install.md": {
		"make images": "TestImages",
		"make push REGISTRY=registry.example/koordinator":                                                                                 "TestImages",
		"go run ./test/cluster load bin/images/webhook.tar bin/images/wrapper.tar":                                                        "TestMain",
		"helm install koordinator charts/koordinator --namespace koordinator-io --create-namespace --wait":                                newcomer,
		"helm install koordinator charts/koordinator --namespace koordinator-io --create-namespace --wait --set certificates=self-signed": newcomer,
		"kubectl label namespace default koordinator.io/injection=enabled":                                                                newcomer,
		"helm test koordinator --namespace koordinator-io":                                                                                newcomer,
	},
	"docs/how-to/kustomize.md": {
		"kubectl kustomize config/overlay": "TestKustomizeOverlay",
	},
	"docs/reference/runtime.md": {
		"kubectl describe pod report-x7k2p": "TestKubernetesSeesTheTruthWhileAContainerWaits",
	},
	"docs/reference/wrapper.md": {
		"kubectl create serviceaccount pod-reader":                                                    "TestThePodWrittenByHandOfTheDocumentation",
		"kubectl create role pod-reader --verb=list,watch --resource=pods":                            "TestThePodWrittenByHandOfTheDocumentation",
		"kubectl create rolebinding pod-reader --role=pod-reader --serviceaccount=default:pod-reader": "TestThePodWrittenByHandOfTheDocumentation",
		"kubectl exec report-x7k2p -c main -- /koordinator/bin/koordinator status":                    "TestTheStatusCommandTellsOfThePod",
	},
}

// runner returns the test that runs every runnable command of a page, "" if there is none.
func runner(page string) string {
	switch {
	case page == "docs/tutorial.md":
		return newcomer
	case slices.Contains(Operated, page):
		return operator
	case slices.Contains(Replaced, page):
		return replacer
	}
	return ""
}

// TestEveryCommandIsRunOrMarked requires an existing test for each command, or a reason why
// there is none. Conversely, every command in run must still be on its page.
func TestEveryCommandIsRunOrMarked(t *testing.T) {
	pages, err := Pages("../..")
	if err != nil || len(pages) < 2 {
		t.Fatalf("pages: %v, %v", pages, err)
	}
	tests := testsOf(t)
	shown := map[string][]string{}
	for _, page := range pages {
		commands, err := Commands(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			shown[page] = append(shown[page], c.Text)
			by, listed := run[page][c.Text]
			if !listed && Runnable(c) {
				by, listed = runner(page), runner(page) != ""
			}
			switch {
			case c.Reason == notSaid:
				t.Errorf("%s line %d: say what %q needs that the tests do not have", page, c.Line, c.Text)
			case c.Reason != "" || listed && slices.Contains(tests, by):
			case listed:
				t.Errorf("%s line %d: there is no test %s", page, c.Line, by)
			default:
				t.Errorf("%s line %d: no test runs %q: name one here, or write the comment <!-- %s: WHY --> before the block", page, c.Line, c.Text, unrun)
			}
		}
	}
	for page, commands := range run {
		for command := range commands {
			if !slices.Contains(shown[page], command) {
				t.Errorf("%s does not show %q any more", page, command)
			}
		}
	}
}

// testsOf returns the names of all tests of the repository.
func testsOf(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if rest, found := strings.CutPrefix(line, "func Test"); found {
				name, _, _ := strings.Cut(rest, "(")
				names = append(names, "Test"+name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestCommands(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	text := strings.ReplaceAll(`# A page
## A section
'''console
kubectl get pods     # all of them
kubectl get --raw \
  /metrics

# a comment
'''

<!-- not run by the tests: needs cosign -->
'''console
make sign
make sign   # again
'''
'''yaml
kubectl: none
'''
'''console
$ kubectl describe pod
  Warning
$ echo '#' # here
'''
`, "'''", "```")
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Commands(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []Command{
		{Line: 4, Section: "A section", Text: "kubectl get pods"},
		{Line: 5, Section: "A section", Text: "kubectl get --raw /metrics"},
		{Line: 13, Section: "A section", Text: "make sign", Reason: "needs cosign"},
		{Line: 14, Section: "A section", Text: "make sign", Reason: "needs cosign"},
		{Line: 20, Section: "A section", Text: "kubectl describe pod"},
		{Line: 22, Section: "A section", Text: "echo '#' # here"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got): %s", diff)
	}
}
