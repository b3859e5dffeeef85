package image

import (
	"net/http"
	"slices"
	"testing"
)

func TestMirrorsAreAskedFirst(t *testing.T) {
	origin, mirror := serve(t, false), serve(t, false)
	img := built(t, "linux/amd64", []string{"/mirror"})
	mirror.push(t, "hub/library/nginx:1", img)
	mirror.push(t, "team/app:1", img)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	text := origin.push(t, "team/app:1", built(t, "linux/amd64", []string{"/origin"}))
	only := origin.push(t, "team/other:1", built(t, "linux/amd64", []string{"/origin"}))
	settings := Settings{Mirrors: map[string][]string{
		"index.docker.io": {mirror.host + "/hub"},
		origin.host:       {mirror.host + "/nothing", mirror.host},
	}}
	for _, tt := range []struct{ name, image, want string }{
		{"Docker Hub's, under a prefix", "nginx:1", "/mirror"},
		{"another registry's", text, "/mirror"},
		{"one by digest", origin.host + "/team/app@" + digest.String(), "/mirror"},
		{"what no mirror has", only, "/origin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := names(mustLook(t, registries(t, settings, origin, mirror), Query{Image: tt.image})); have != "linux/amd64 "+tt.want {
				t.Errorf("have %s", have)
			}
		})
	}
}

func TestAMirrorHasCredentialsOfItsOwn(t *testing.T) {
	origin, text := locked(t, false)
	mirror := serve(t, false)
	mirror.inner = origin.inner
	mirror.users = map[string]string{"reader": "r"}
	mirror.reads = map[string][]string{"team/secret": {"reader"}}
	r := registries(t, Settings{Mirrors: map[string][]string{origin.host: {mirror.host}}}, origin, mirror)
	alice, reader := keysFor(t, "alice", origin.host, "alice", "a"), keysFor(t, "reader", mirror.host, "reader", "r")
	mustLook(t, r, Query{Image: text, Keys: slices.Concat(alice, reader)})
	if n := origin.counted(""); n != 0 {
		t.Errorf("%d requests to the origin", n)
	}
	if n := mirror.counted("alice"); n != 0 {
		t.Errorf("the mirror saw the origin's credentials %d times", n)
	}
	mustLook(t, r, Query{Image: text, Keys: alice})
	if n := mirror.counted("alice"); n != 0 {
		t.Errorf("the mirror saw the origin's credentials %d times", n)
	}
}

func TestAMirrorThatHangsIsNotTheEnd(t *testing.T) {
	origin := serve(t, false)
	text := origin.push(t, "app:1", built(t, "linux/amd64", []string{"/origin"}))
	mirror, _ := hanging(t)
	r := registries(t, Settings{Mirrors: map[string][]string{origin.host: {mirror.host}}}, origin, mirror)
	ctx, cancel := contextOf(t)
	defer cancel()
	facts, err := r.Look(ctx, Query{Image: text})
	if err != nil || names(facts) != "linux/amd64 /origin" {
		t.Errorf("have %v, %v", facts, err)
	}
}

func TestTheFailureIsTheOrigins(t *testing.T) {
	origin, mirror := serve(t, false), serve(t, false)
	mirror.before = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	r := registries(t, Settings{Mirrors: map[string][]string{origin.host: {mirror.host}}}, origin, mirror)
	if e := refusal(t, r, Query{Image: origin.host + "/app"}); e.Kind != NotFound || e.Registry != origin.host {
		t.Errorf("have %v", e)
	}
}
