package spec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDelegationsAreReadWithTheirDefaults(t *testing.T) {
	quit := Request{"POST", "http://127.0.0.1:15020/quitquitquit"}
	for name, tt := range map[string]struct {
		text string
		want []Delegation
	}{
		"no delegations": {`[]`, nil},
		"stopWhen is any unless it is set": {
			`[{"container":"istio-proxy","request":"POST http://127.0.0.1:15020/quitquitquit","stopDeps":["main"]}]`,
			[]Delegation{{"istio-proxy", quit, StopAny, []Dependency{{"main", Exited, false}}}},
		},
		"stopWhen any may be spelled out": {
			`[{"container":"p","request":"POST http://127.0.0.1:15020/quitquitquit","stopWhen":"any","stopDeps":["main"]}]`,
			[]Delegation{{"p", quit, StopAny, []Dependency{{"main", Exited, false}}}},
		},
		"every condition of a stop dependency": {
			`[{"container":"p","request":"POST http://127.0.0.1:15020/quitquitquit","stopWhen":"all","stopDeps":["main=exited","b=succeeded","c=failed"]}]`,
			[]Delegation{{"p", quit, StopAll, []Dependency{{"main", Exited, false}, {"b", Succeeded, false}, {"c", Failed, false}}}},
		},
		"several keep their order": {
			`[{"container":"q","request":"GET http://h/q","stopDeps":["main"]},{"container":"p","request":"PUT https://h/p","stopDeps":["b","main"]}]`,
			[]Delegation{
				{"q", Request{"GET", "http://h/q"}, StopAny, []Dependency{{"main", Exited, false}}},
				{"p", Request{"PUT", "https://h/p"}, StopAny, []Dependency{{"b", Exited, false}, {"main", Exited, false}}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(`{"container":"main","delegated":` + tt.text + `}`)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.Delegated); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			again, err := Parse(s.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, again); diff != "" {
				t.Errorf("encoded as %s (-first +second):\n%s", s.Encode(), diff)
			}
		})
	}
}

func TestWrongDelegationsAreRejected(t *testing.T) {
	const request = `"request":"POST http://h/quit"`
	refuses(t, map[string]refusal{
		"a container without a name": {
			`{"container":"main","delegated":[{` + request + `,"stopDeps":["main"]}]}`,
			Problems{{InvalidDependency, "delegated", "", `[0]: container: "" is not the name of a container`, "Write its name"}},
		},
		"a name that Kubernetes would not accept": {
			`{"container":"main","delegated":[{"container":"P_1",` + request + `,"stopDeps":["main"]}]}`,
			Problems{{InvalidDependency, "delegated", "P_1", `[0]: container: "P_1" is not the name of a container`, "Write its name"}},
		},
		"another word than any and all": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopWhen":"some","stopDeps":["main"]}]}`,
			Problems{{UnknownWord, "delegated", "some", `[0]: stopWhen: "some" is not a valid value`, "Use one of any, all"}},
		},
		"the second of two": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDeps":["main"]},{"container":"q","request":"http://h/","stopDeps":["main"]}]}`,
			Problems{{InvalidRequest, "delegated", "http://h/", `[1]: request: "http://h/" is not an HTTP request`, `Write GET, POST or PUT and a URL, for example "POST http://127.0.0.1:15020/quitquitquit"`}},
		},
		"a condition of start dependencies": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDeps":["main=ready"]}]}`,
			Problems{{UnknownCondition, "delegated", "ready", `[0]: stopDeps: "main=ready": "ready" is not a valid condition`, "Use one of exited, succeeded, failed"}},
		},
		"an unknown field": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDep":["main"]}]}`,
			Problems{{UnknownField, "delegated", "stopDep", `[0]: "stopDep" is not a known field`, "Use one of container, request, stopDeps, stopWhen"}},
		},
		"an object in place of the list": {
			`{"container":"main","delegated":{"container":"p"}}`,
			Problems{{WrongForm, "delegated", "", `{"container":"p"} is not a list`, "Write [a, b]"}},
		},
		"no dependency on this container": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDeps":["other"]}]}`,
			Problems{{InvalidDependency, "delegated", "p", `"p" has no stop dependency on this container`, "Name it in stopDeps, and set container to its name"}},
		},
		"no dependencies": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDeps":[]}]}`,
			Problems{{InvalidDependency, "delegated", "p", `"p" has no stop dependency on this container`, "Name it in stopDeps, and set container to its name"}},
		},
		"this container has no name": {
			`{"delegated":[{"container":"p",` + request + `,"stopDeps":["main"]}]}`,
			Problems{{InvalidDependency, "delegated", "p", `"p" has no stop dependency on this container`, "Name it in stopDeps, and set container to its name"}},
		},
		"each delegation that is not for this container": {
			`{"container":"main","delegated":[{"container":"p",` + request + `,"stopDeps":["a"]},{"container":"r",` + request + `,"stopDeps":["main"]},{"container":"q",` + request + `,"stopDeps":["b"]}]}`,
			Problems{
				{InvalidDependency, "delegated", "p", `"p" has no stop dependency on this container`, "Name it in stopDeps, and set container to its name"},
				{InvalidDependency, "delegated", "q", `"q" has no stop dependency on this container`, "Name it in stopDeps, and set container to its name"},
			},
		},
	})
}

// TestADelegationRequiresTheContainersName uses a stop dependency with an empty
// name, which equals the unset name of the container. Parse would reject that
// dependency.
func TestADelegationRequiresTheContainersName(t *testing.T) {
	s := with(func(s *Spec) {
		s.Delegated = []Delegation{{"p", Request{"GET", "http://h/"}, StopAny, []Dependency{{"", Exited, false}}}}
	})
	if have := s.Check(); len(have) != 1 || have[0].Code != InvalidDependency {
		t.Errorf("have %q, want one problem of the delegation", have)
	}
}
