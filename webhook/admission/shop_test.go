package admission

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/image"
)

// shop is a registry with basic authentication, whose user is "team" with the
// password "secret", and a handler that uses it.
type shop struct {
	*Handler

	host  string
	asked atomic.Int64                       // requests that it received
	stuck atomic.Pointer[chan struct{}]      // not nil: it answers when that is closed
	files string                             // directory of the command index
	reg   *prometheus.Registry               // with the handler's metrics
	keys  map[client.ObjectKey]corev1.Secret // of the cluster

	sources commands.Settings // of open
}

// newShop starts the registry.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{files: t.TempDir(), keys: map[client.ObjectKey]corev1.Secret{}}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if stuck := s.stuck.Load(); stuck != nil {
			select {
			case <-*stuck:
			case <-r.Context().Done():
			}
		}
		if user, password, _ := r.BasicAuth(); r.Method == http.MethodGet && (user != "team" || password != "secret") {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = server.Listener.Addr().String()

	s.sources = commands.Settings{Lookup: true, Timeout: 5 * time.Second, PullSecrets: true, Index: s.files, Credentials: t.TempDir()}
	s.sources.Image = image.Settings{Loopback: []string{s.host}, PlainHTTP: []string{s.host}}
	s.open(t, slog.New(slog.DiscardHandler))
	auth := base64.StdEncoding.EncodeToString([]byte("team:secret"))
	s.keys[client.ObjectKey{Namespace: "shop", Name: "pull"}] = corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"` + s.host + `":{"auth":"` + auth + `"}}}`)},
	}
	return s
}

// open creates a new handler with the current settings.
func (s *shop) open(t *testing.T, log *slog.Logger) {
	t.Helper()
	s.reg = prometheus.NewRegistry()
	c, err := commands.New(s.sources, pullSecrets{keys: s.keys}, s.reg, log)
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = New(testSettings(), c, s.reg, log)
}

// letIn writes the password to the operator's credentials.
func (s *shop) letIn(t *testing.T) {
	t.Helper()
	keys := []byte(`{"auths":{"` + s.host + `":{"username":"team","password":"secret"}}}`)
	if err := os.WriteFile(filepath.Join(s.sources.Credentials, corev1.DockerConfigJsonKey), keys, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pullSecrets are the cluster's secrets.
type pullSecrets struct {
	client.Reader

	keys map[client.ObjectKey]corev1.Secret
}

func (r pullSecrets) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	secret, found := r.keys[key]
	if !found {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	*into.(*corev1.Secret) = secret
	return nil
}

// push pushes an image for platforms with their configurations.
func (s *shop) push(t *testing.T, as string, configs map[string]v1.Config) string {
	t.Helper()
	ref, err := name.ParseReference(s.host+"/"+as, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
	for platform, config := range configs {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, Config: config})
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	if err := remote.WriteIndex(ref, index, remote.WithTransport(asTeam{})); err != nil {
		t.Fatal(err)
	}
	return s.host + "/" + as
}

// asTeam sends every request with the password.
type asTeam struct{}

func (asTeam) RoundTrip(r *http.Request) (*http.Response, error) {
	r.SetBasicAuth("team", "secret")
	return http.DefaultTransport.RoundTrip(r)
}

// create returns the answer to the creation of a Job's pod in which "main" waits
// for "proxy" and stops it, and the resulting pod.
func (s *shop) create(t *testing.T, change func(main, proxy *corev1.Container)) (admission.Response, corev1.Pod) {
	t.Helper()
	var pod corev1.Pod
	raw := podOf(t, "Never main proxy", map[string]string{"koordinator.io/start-deps": "main: proxy=started", "koordinator.io/stop-deps": "proxy: main"})
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Command = []string{"/known"}
	}
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "gone"}, {Name: "pull"}}
	change(&pod.Spec.Containers[0], &pod.Spec.Containers[1])
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	resp := s.review(t, raw)
	out := patched(t, raw, resp)
	if resp.Allowed {
		if again := s.review(t, out); len(again.Patch) > 0 || !again.Allowed {
			t.Errorf("a second call answers %s %s", again.Result.Message, again.Patch)
		}
	}
	var after corev1.Pod
	if err := json.Unmarshal(out, &after); err != nil {
		t.Fatal(err)
	}
	return resp, after
}

func (s *shop) review(t *testing.T, raw []byte) admission.Response {
	t.Helper()
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create,
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:   runtime.RawExtension{Raw: slices.Clone(raw)},
	}}
	resp := s.Handle(context.Background(), req)
	if err := resp.Complete(req); err != nil {
		t.Fatal(err)
	}
	return resp
}
