package image

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// locked starts a registry with the users alice and bob and a repository that
// only alice may read.
func locked(t *testing.T, bearer bool) (*server, string) {
	t.Helper()
	s := serve(t, false)
	s.bearer = bearer
	s.users = map[string]string{"alice": "a", "bob": "b"}
	s.reads = map[string][]string{"team/secret": {"alice"}}
	return s, s.push(t, "team/secret:1", built(t, "linux/amd64", []string{"/secret"}))
}

func TestCredentialsAreTriedInOrder(t *testing.T) {
	for _, scheme := range []string{"basic", "bearer"} {
		s, text := locked(t, scheme == "bearer")
		public := s.push(t, "public/app:1", built(t, "linux/amd64", []string{"/public"}))
		wrong := keysFor(t, `secret "shop/wrong"`, s.host, "alice", "typo")
		bob := keysFor(t, `secret "shop/bob"`, s.host, "bob", "b")
		alice := keysFor(t, `secret "shop/alice"`, s.host+"/team", "alice", "a")
		elsewhere := keysFor(t, `secret "shop/elsewhere"`, "other.example", "alice", "a")
		for _, tt := range []struct {
			name     string
			image    string
			keys     Keys
			operator Keys
			want     string
			kind     Kind
			tried    []string
		}{
			{name: "the right one", image: text, keys: alice, want: "/secret"},
			{name: "the first is wrong", image: text, keys: slices.Concat(wrong, alice), want: "/secret"},
			{name: "the first two may not", image: text, keys: slices.Concat(elsewhere, wrong, bob, alice), want: "/secret"},
			{name: "the operator's come last", image: text, keys: wrong, operator: alice, want: "/secret"},
			{name: "none are needed", image: public, want: "/public"},
			{name: "wrong ones do not matter where none are needed", image: public, keys: wrong, want: "/public"},
			{name: "none", image: text, kind: Unauthorized, tried: []string{"none"}},
			{name: "those of another registry", image: text, keys: elsewhere, kind: Unauthorized, tried: []string{"none"}},
			{name: "wrong ones", image: text, keys: slices.Concat(wrong, bob), kind: Unauthorized, tried: []string{`secret "shop/wrong"`, `secret "shop/bob"`, "none"}},
			{name: "the right ones for what is not there", image: s.host + "/team/secret:2", keys: slices.Concat(wrong, alice), kind: NotFound, tried: []string{`secret "shop/wrong"`, `secret "shop/alice"`, "none"}},
		} {
			t.Run(scheme+" "+tt.name, func(t *testing.T) {
				facts, err := look(t, registries(t, Settings{Keys: tt.operator}, s), Query{Image: tt.image, Keys: tt.keys})
				if tt.kind == "" {
					if err != nil || facts.Platforms[0].Config.Entrypoint[0] != tt.want {
						t.Fatalf("want %s, have %v, %v", tt.want, facts, err)
					}
					return
				}
				var e *Error
				if !errors.As(err, &e) || e.Kind != tt.kind {
					t.Fatalf("want %s, have %v", tt.kind, err)
				}
				if diff := cmp.Diff(tt.tried, e.Tried); diff != "" {
					t.Errorf("tried (-want +have):\n%s", diff)
				}
			})
		}
	}
}

func TestWhatOthersMayNotReadTheyAreNotTold(t *testing.T) {
	s, text := locked(t, false)
	r := registries(t, Settings{}, s)
	alice := keysFor(t, "alice", s.host, "alice", "a")
	bob := keysFor(t, "bob", s.host, "bob", "b")
	secret := mustLook(t, r, Query{Image: text, Keys: alice})
	for _, image := range []string{text, s.host + "/team/secret@" + secret.Digest} {
		for name, keys := range map[string]Keys{"another user": bob, "nobody": nil, "a wrong password": keysFor(t, "x", s.host, "alice", "x")} {
			if e := refusal(t, r, Query{Image: image, Keys: keys}); e.Kind != Unauthorized {
				t.Errorf("%s asks for %s: %v", name, image, e)
			}
		}
	}
	if facts := mustLook(t, r, Query{Image: text, Keys: alice}); !facts.Cached {
		t.Error("the one who may is not answered from memory")
	}
}

func TestADigestIsNoKeyToAnotherRepository(t *testing.T) {
	s, text := locked(t, false)
	liar := serve(t, false)
	r := registries(t, Settings{}, s, liar)
	secret := mustLook(t, r, Query{Image: text, Keys: keysFor(t, "alice", s.host, "alice", "a")})
	own := liar.push(t, "team/secret:1", built(t, "linux/amd64", []string{"/liar"}))
	mustLook(t, r, Query{Image: own})
	liar.before = func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodHead {
			w.Header().Set("Docker-Content-Digest", secret.Digest)
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
		}
	}
	liar.counted("")
	if have := names(mustLook(t, r, Query{Image: own, Keys: keysFor(t, "k", liar.host, "u", "p")})); have != "linux/amd64 /liar" {
		t.Errorf("by a lying HEAD: %s", have)
	}
	if n := liar.counted("HEAD"); n == 0 {
		t.Error("no lie was told")
	}
	if e := refusal(t, r, Query{Image: liar.host + "/team/secret@" + secret.Digest}); e.Kind != NotFound {
		t.Errorf("by digest: %v", e)
	}
}

func TestOtherCredentialsAreCheckedByOneHead(t *testing.T) {
	s, text := locked(t, false)
	s.reads["team/secret"] = []string{"alice", "bob"}
	r := registries(t, Settings{}, s)
	first := mustLook(t, r, Query{Image: text, Keys: keysFor(t, "alice", s.host, "alice", "a")})
	s.counted("")
	second := mustLook(t, r, Query{Image: text, Keys: keysFor(t, "bob", s.host, "bob", "b")})
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff([]string{"GET /v2/", "HEAD /v2/team/secret/manifests/1 bob"}, s.asked); diff != "" {
		t.Errorf("asked (-want +have):\n%s", diff)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestARegistryThatCannotHEAD(t *testing.T) {
	s := serve(t, false)
	s.before = func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	r := registries(t, Settings{}, s)
	mustLook(t, r, Query{Image: text})
	s.counted("")
	if have := names(mustLook(t, r, Query{Image: text, Keys: keysFor(t, "x", s.host, "x", "y")})); have != "linux/amd64 /e" {
		t.Errorf("have %s", have)
	}
	if n := s.counted("/blobs/"); n != 0 {
		t.Errorf("%d configurations read again", n)
	}
}
