package image

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// server is a registry on loopback that records its requests and protects
// repositories from users who may not read them.
type server struct {
	*httptest.Server
	host   string
	inner  http.Handler        // the registry without access control
	before http.HandlerFunc    // receives requests first; if it writes anything, that is the answer
	bearer bool                // tokens instead of basic authentication
	users  map[string]string   // password by user
	reads  map[string][]string // repository → users that may read it; everybody may read others
	mu     sync.Mutex          // guards asked
	asked  []string            // "GET /v2/team/app/manifests/1 alice"
}

// serve starts a registry. tls specifies whether it serves TLS with a certificate
// that a test can trust.
func serve(t *testing.T, tls bool) *server {
	t.Helper()
	s := &server{
		inner: registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		users: map[string]string{}, reads: map[string][]string{},
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	s.host = s.Listener.Addr().String()
	return s
}

// answered records whether a handler has written anything.
type answered struct {
	http.ResponseWriter
	wrote bool
}

func (a *answered) WriteHeader(code int) {
	a.wrote = true
	a.ResponseWriter.WriteHeader(code)
}

func (a *answered) Write(p []byte) (int, error) {
	a.wrote = true
	return a.ResponseWriter.Write(p)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		user, password, _ = strings.Cut(token, "-")
	}
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+user))
	s.mu.Unlock()
	if s.before != nil {
		a := &answered{ResponseWriter: w}
		if s.before(a, r); a.wrote {
			return
		}
	}
	known := user != "" && s.users[user] == password
	repo, _, manifest := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	if !manifest {
		repo, _, _ = strings.Cut(repo, "/blobs/")
	}
	readers, private := s.reads[repo]
	switch {
	case r.URL.Path == "/token":
		if user != "" && !known {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"token": user + "-" + password})
	case len(s.users) > 0 && r.URL.Path == "/v2/" && !known, private && !slices.Contains(readers, user), user != "" && !known:
		challenge := `Basic realm="test"`
		if s.bearer {
			challenge = fmt.Sprintf(`Bearer realm="%s/token",service="test"`, s.URL)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		s.inner.ServeHTTP(w, r)
	}
}

// counted returns the number of requests that contain a text, and resets the
// record.
func (s *server) counted(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.asked {
		if strings.Contains(line, part) {
			n++
		}
	}
	s.asked = nil
	return n
}

// RoundTrip allows tests to push without credentials and without being counted.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	arrived := r.Clone(r.Context())
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	s.inner.ServeHTTP(w, arrived)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// push stores an image or an index as REPOSITORY:TAG and returns its name.
func (s *server) push(t *testing.T, path string, what remote.Taggable) string {
	t.Helper()
	text := s.host + "/" + path
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(ref, what, remote.WithTransport(s))
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what, remote.WithTransport(s))
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// put stores a manifest unchanged that no tool would create.
func (s *server) put(t *testing.T, repo, tag, mediaType, body string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, "/v2/"+repo+"/manifests/"+tag, strings.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	s.inner.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Fatalf("put %s:%s: %d %s", repo, tag, w.Code, w.Body)
	}
	return s.host + "/" + repo + ":" + tag
}

// registries returns Registries for the servers, with plain HTTP for those
// without TLS.
func registries(t *testing.T, settings Settings, servers ...*server) *Registries {
	t.Helper()
	for _, s := range servers {
		settings.Loopback = append(settings.Loopback, s.host)
		if s.TLS == nil {
			settings.PlainHTTP = append(settings.PlainHTTP, s.host)
		}
	}
	r, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// built returns an image with a command, for a platform, or without one if
// platform is "".
func built(t *testing.T, platform string, entrypoint []string, cmd ...string) v1.Image {
	t.Helper()
	file := &v1.ConfigFile{Config: v1.Config{
		Entrypoint: entrypoint, Cmd: cmd, StopSignal: "SIGQUIT", User: "1000:1000", WorkingDir: "/srv",
		Env: []string{"A=b", "PATH=/opt/bin:/bin"},
	}}
	if platform != "" {
		p := platformOf(t, platform)
		file.OS, file.Architecture, file.Variant = p.OS, p.Architecture, p.Variant
	}
	img, err := mutate.ConfigFile(empty.Image, file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func platformOf(t *testing.T, text string) *v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// look looks up an image with a deadline that no test reaches.
func look(t *testing.T, r *Registries, q Query) (Facts, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return r.Look(ctx, q)
}

func mustLook(t *testing.T, r *Registries, q Query) Facts {
	t.Helper()
	facts, err := look(t, r, q)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// refusal returns the Error of a lookup that must fail.
func refusal(t *testing.T, r *Registries, q Query) *Error {
	t.Helper()
	facts, err := look(t, r, q)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *Error, have %v, %v", facts, err)
	}
	return e
}

// keysFor returns the keys of a secret with one entry.
func keysFor(t *testing.T, secret, place, user, password string) Keys {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	keys, err := ParseConfig(secret, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, place, auth))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// asks returns the number of requests so far.
func (s *server) asks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}
