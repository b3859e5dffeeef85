package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operated is the page whose commands two tests run as they stand:
// TestUpgradeAndRemovalAsDocumented two sections, operator the others, and
// before them what the README shows for an installation that is there.
const (
	operated = "docs/operations.md"
	operator = "TestTheCommandsOfTheDocumentation"
)

// newcomer is the test that goes the README's way on a cluster without us.
const newcomer = "TestLifeOfARelease"

// run says of the other commands which test runs them, as they stand or with
// names and namespaces of its own, by the page and the command.
var run = map[string]map[string]string{
	"README.md": {
		"make test":   "TestWorkflowsCallTargetsThatExist", // which every change has to pass
		"make images": "TestImages",
		"make push REGISTRY=registry.example/koordinator":                                                                                     "TestImages",
		"go run ./test/cluster load bin/images/webhook.tar bin/images/wrapper.tar":                                                            "TestMain",
		"helm install koordinator charts/koordinator --namespace koordinator-system --create-namespace --wait":                                newcomer,
		"helm install koordinator charts/koordinator --namespace koordinator-system --create-namespace --wait --set certificates=self-signed": newcomer,
		"kubectl create namespace shop":                                                                     newcomer,
		"kubectl label namespace shop koordinator.io/injection=enabled":                                     newcomer,
		"kubectl apply -n shop -f config/samples/job-with-sidecar.yaml":                                     newcomer,
		"kubectl wait -n shop job/job-with-sidecar --for=condition=complete --timeout=2m":                   newcomer,
		"kubectl delete rolebinding --all-namespaces --field-selector metadata.name=koordinator-pod-reader": "TestUpgradeAndRemovalAsDocumented",
		"kubectl delete clusterrole koordinator-pod-reader":                                                 "TestUpgradeAndRemovalAsDocumented",
	},
	"charts/koordinator/README.md": {
		"helm install koordinator charts/koordinator --namespace koordinator-system --create-namespace --wait": newcomer,
	},
	"docs/semantics.md": {
		"kubectl describe pod report-x7k2p":                                        "TestKubernetesSeesTheTruthWhileAContainerWaits",
		"kubectl exec report-x7k2p -c main -- /koordinator/bin/koordinator status": "TestTheStatusCommandTellsOfThePod",
	},
	"docs/wrapper.md": {
		"kubectl create serviceaccount pod-reader":                                                    "TestThePodWrittenByHandOfTheDocumentation",
		"kubectl create role pod-reader --verb=list,watch --resource=pods":                            "TestThePodWrittenByHandOfTheDocumentation",
		"kubectl create rolebinding pod-reader --role=pod-reader --serviceaccount=default:pod-reader": "TestThePodWrittenByHandOfTheDocumentation",
	},
	operated: {
		"make images VERSION=v0.0.0-test PLATFORMS=linux/amd64,linux/arm64": "TestImages",
		"make sbom": "TestImages",
		"make push REGISTRY=registry.example/koordinator VERSION=v0.0.0-test": "TestImages",
		"make package VERSION=v0.0.0-test":                                    operator,
	},
}

// TestEveryCommandIsRunOrMarked: by a test that is there, or with a reason why
// none does. And the list above names nothing that no page shows any more.
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
			switch {
			case c.Reason == "not said":
				t.Errorf("%s line %d: say what %q needs that the tests do not have", page, c.Line, c.Text)
			case c.Reason != "" || listed && slices.Contains(tests, by):
			case listed:
				t.Errorf("%s line %d: there is no test %s", page, c.Line, by)
			case page == operated && Runnable(c):
			default:
				t.Errorf("%s line %d: no test runs %q: name one here, or write %q behind the command, and why", page, c.Line, c.Text, unrun+": …")
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

// testsOf are the names of all tests of the repository.
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
make sign   # not run by the tests: needs cosign
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
		{Line: 9, Section: "A section", Text: "make sign", Reason: "needs cosign"},
		{Line: 15, Section: "A section", Text: "kubectl describe pod"},
		{Line: 17, Section: "A section", Text: "echo '#' # here"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got): %s", diff)
	}
}
