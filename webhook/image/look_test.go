package image

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// index returns an index of these entries.
func index(t *testing.T, kind types.MediaType, entries ...mutate.IndexAddendum) v1.ImageIndex {
	t.Helper()
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, kind), entries...)
}

// entryOf returns an index's entry for an image or index, with its platform, ""
// for none.
func entryOf(t *testing.T, what mutate.Appendable, platform string) mutate.IndexAddendum {
	t.Helper()
	e := mutate.IndexAddendum{Add: what}
	if platform != "" {
		e.Platform = platformOf(t, platform)
	}
	return e
}

// attestation returns an entry that build tools add alongside an image.
func attestation(t *testing.T) mutate.IndexAddendum {
	t.Helper()
	e := entryOf(t, built(t, "unknown/unknown", []string{"/never"}), "unknown/unknown")
	e.Annotations = map[string]string{referenceType: "attestation-manifest"}
	return e
}

// names lists platforms with the first word of their commands.
func names(facts Facts) string {
	var all []string
	for _, p := range facts.Platforms {
		all = append(all, p.Name+" "+strings.Join(p.Config.Entrypoint, " "))
	}
	return strings.Join(all, ", ")
}

func TestAnImageSaysHowItIsRun(t *testing.T) {
	s := serve(t, false)
	img := built(t, "linux/arm64/v8", []string{"/e", "$HOME"}, "c")
	text := s.push(t, "team/app:1", img)
	facts := mustLook(t, registries(t, Settings{}, s), Query{Image: text})
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{Digest: digest.String(), Platforms: []Platform{{"linux/arm64", Config{
		Entrypoint: []string{"/e", "$HOME"}, Cmd: []string{"c"}, StopSignal: "SIGQUIT",
		User: "1000:1000", WorkingDir: "/srv", Path: "/opt/bin:/bin",
	}}}}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	byDigest := mustLook(t, registries(t, Settings{}, s), Query{Image: s.host + "/team/app@" + digest.String()})
	if diff := cmp.Diff(want, byDigest); diff != "" {
		t.Errorf("by digest (-want +have):\n%s", diff)
	}
}

func TestKindsOfImages(t *testing.T) {
	s := serve(t, false)
	amd := built(t, "linux/amd64", []string{"/amd"})
	arm := built(t, "linux/arm64", []string{"/arm"})
	docker := mutate.ConfigMediaType(mutate.MediaType(amd, types.DockerManifestSchema2), types.DockerConfigJSON)
	oci := mutate.ConfigMediaType(mutate.MediaType(arm, types.OCIManifestSchema1), types.OCIConfigJSON)
	both := index(t, types.OCIImageIndex, entryOf(t, amd, "linux/amd64"), entryOf(t, arm, "linux/arm64/v8"))
	var many []mutate.IndexAddendum
	for i := range 20 {
		many = append(many, entryOf(t, built(t, "", []string{fmt.Sprint("/", i)}), fmt.Sprintf("linux/arch%d", i)))
	}
	deep := mutate.Appendable(amd)
	for range maxDepth + 2 {
		deep = index(t, types.OCIImageIndex, entryOf(t, deep, ""))
	}
	big := []mutate.IndexAddendum{}
	for i := range maxManifests + 1 {
		big = append(big, entryOf(t, built(t, "", []string{fmt.Sprint("/", i)}), fmt.Sprintf("linux/arch%d", i)))
	}
	for _, tt := range []struct {
		name  string
		what  any
		nodes []string
		want  string
		err   string
	}{
		{name: "Docker v2", what: docker, want: "linux/amd64 /amd"},
		{name: "OCI", what: oci, want: "linux/arm64 /arm"},
		{name: "an image that says no platform", what: built(t, "", []string{"/e"}), want: "linux /e"},
		{name: "an index", what: both, want: "linux/amd64 /amd, linux/arm64 /arm"},
		{name: "a Docker manifest list", what: index(t, types.DockerManifestList, entryOf(t, docker, "linux/amd64")), want: "linux/amd64 /amd"},
		{name: "an index with attestations", what: index(t, types.OCIImageIndex, attestation(t), entryOf(t, amd, "linux/amd64"), attestation(t)), want: "linux/amd64 /amd"},
		{
			name: "an attestation that says a platform",
			what: index(t, types.OCIImageIndex, func() mutate.IndexAddendum {
				e := attestation(t)
				e.Platform = platformOf(t, "linux/amd64")
				return e
			}(), entryOf(t, arm, "linux/arm64")),
			want: "linux/arm64 /arm",
		},
		{name: "an index in an index", what: index(t, types.OCIImageIndex, entryOf(t, both, ""), entryOf(t, built(t, "", []string{"/s390x"}), "linux/s390x")), want: "linux/amd64 /amd, linux/arm64 /arm, linux/s390x /s390x"},
		{name: "the first of two for one platform", what: index(t, types.OCIImageIndex, entryOf(t, amd, "linux/amd64"), entryOf(t, arm, "linux/amd64")), want: "linux/amd64 /amd"},
		{name: "variants", what: index(t, types.OCIImageIndex, entryOf(t, amd, "linux/arm/v6"), entryOf(t, arm, "linux/arm")), want: "linux/arm/v6 /amd, linux/arm/v7 /arm"},
		{name: "an index that says no platforms", what: index(t, types.OCIImageIndex, entryOf(t, amd, ""), entryOf(t, built(t, "windows/amd64", []string{"w"}), "")), want: "linux/amd64 /amd"},
		{name: "platforms that nodes have", what: both, nodes: []string{"linux/arm64"}, want: "linux/arm64 /arm"},
		{name: "a variant of a platform that nodes have", what: index(t, types.OCIImageIndex, entryOf(t, amd, "linux/arm/v6"), entryOf(t, arm, "linux/arm64")), nodes: []string{"linux/arm"}, want: "linux/arm/v6 /amd"},
		{name: "Windows beside Linux", what: index(t, types.OCIImageIndex, entryOf(t, built(t, "windows/amd64", []string{"w"}), "windows/amd64"), entryOf(t, amd, "linux/amd64")), want: "linux/amd64 /amd"},
		{name: "a lone image for another platform than nodes have", what: amd, nodes: []string{"linux/arm64"}, want: "linux/amd64 /amd"},
		{name: "many platforms", what: index(t, types.OCIImageIndex, many...), nodes: []string{"linux/arch3", "linux/arch17"}, want: "linux/arch3 /3, linux/arch17 /17"},
		{name: "Windows alone", what: built(t, "windows/amd64", []string{"w"}), err: "the image is not for Linux"},
		{name: "an index for Windows", what: index(t, types.OCIImageIndex, entryOf(t, amd, "windows/amd64")), err: "none of the required platforms (linux)"},
		{name: "no platform that nodes have", what: both, nodes: []string{"linux/s390x", "linux/riscv64"}, err: "none of the required platforms (linux/s390x, linux/riscv64)"},
		{name: "an index of attestations", what: index(t, types.OCIImageIndex, attestation(t)), err: "none of the required platforms"},
		{name: "too many manifests", what: index(t, types.OCIImageIndex, big...), err: "more than 64 manifests"},
		{name: "indexes without end", what: deep, err: "more than 2 levels of indexes"},
		{name: "a chart", what: mutate.ConfigMediaType(mutate.MediaType(amd, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json"), err: "its configuration is not one of the OCI's or Docker's"},
		{name: "a command that no process could be given", what: built(t, "linux/amd64", []string{strings.Repeat("x", maxCommand+1)}), err: "the limit is 131072"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(tt.name, "'", "")), " ", "-")
			var text string
			switch what := tt.what.(type) {
			case v1.ImageIndex:
				text = s.push(t, repo, what)
			case v1.Image:
				text = s.push(t, repo, what)
			}
			facts, err := look(t, registries(t, Settings{Platforms: tt.nodes}, s), Query{Image: text})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("want error %q, have %v", tt.err, err)
			}
			if have := names(facts); have != tt.want {
				t.Errorf("want %s, have %s", tt.want, have)
			}
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Kind != Unsupported) {
				t.Errorf("have %v", err)
			}
		})
	}
}

func TestManifestsThatAreNone(t *testing.T) {
	s := serve(t, false)
	config := `{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` + someDigest + `"}`
	for _, tt := range []struct {
		name, mediaType, body string
		kind                  Kind
		want                  string
	}{
		{"Docker schema 1", string(types.DockerManifestSchema1Signed), `{"schemaVersion":1}`, Unsupported, "schema 1"},
		{"an unknown type", "text/html", `<html>`, Unsupported, "not a container image"},
		{"no JSON", string(types.OCIManifestSchema1), `<html>`, Invalid, "not from a registry"},
		{"an image without configuration", string(types.OCIManifestSchema1), `{}`, Unsupported, "it has no configuration"},
		{"a configuration that is not there", string(types.OCIManifestSchema1), `{"config":` + config + `}`, NotFound, "404"},
		{"a configuration that is too large", string(types.OCIManifestSchema1), `{"config":` + strings.Replace(config, ":2,", ":4194305,", 1) + `}`, Invalid, "the limit is 4194304"},
		{"an index of what is not there", string(types.OCIImageIndex), `{"manifests":[]}`, Unsupported, "none of the required platforms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := s.put(t, "odd", fmt.Sprintf("%x", tt.name), tt.mediaType, tt.body)
			e := refusal(t, registries(t, Settings{}, s), Query{Image: text})
			if e.Kind != tt.kind || !strings.Contains(e.Error(), tt.want) || strings.Contains(e.Error(), "html") {
				t.Errorf("want %s: %s, have %s: %v", tt.kind, tt.want, e.Kind, e)
			}
		})
	}
}

// Builders add artifacts to an index that are not images, and only the manifest
// shows that.
func TestAnArtifactBesideImages(t *testing.T) {
	s := serve(t, false)
	s.push(t, "app:1", index(t, types.OCIImageIndex, entryOf(t, built(t, "linux/amd64", []string{"/e"}), "linux/amd64")))
	artifact := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x.files","config":` +
		`{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"` + someDigest + `"},"layers":[]}`
	s.put(t, "app", "files", string(types.OCIManifestSchema1), artifact)
	digest, size, err := v1.SHA256(strings.NewReader(artifact))
	if err != nil {
		t.Fatal(err)
	}
	get := httptest.NewRecorder()
	s.inner.ServeHTTP(get, httptest.NewRequest(http.MethodGet, "/v2/app/manifests/1", nil))
	listed := fmt.Sprintf(`"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d},`, digest, size)
	both := s.put(t, "app", "both", string(types.OCIImageIndex), strings.Replace(get.Body.String(), `"manifests":[`, listed, 1))
	if facts := mustLook(t, registries(t, Settings{}, s), Query{Image: both}); names(facts) != "linux/amd64 /e" {
		t.Errorf("have %s", names(facts))
	}
	if e := refusal(t, registries(t, Settings{}, s), Query{Image: s.host + "/app:files"}); e.Kind != Unsupported {
		t.Errorf("the artifact alone: %v", e)
	}
}

func TestAManifestThatSaysItselfWhatItIs(t *testing.T) {
	s := serve(t, false)
	img := built(t, "linux/amd64", []string{"/e"})
	s.push(t, "plain/app:1", img)
	raw, err := mutate.MediaType(img, types.OCIManifestSchema1).RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	text := s.put(t, "plain/app", "2", "application/json", string(raw))
	if have := names(mustLook(t, registries(t, Settings{}, s), Query{Image: text})); have != "linux/amd64 /e" {
		t.Errorf("have %s", have)
	}
}

func TestSettingsThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Platforms: []string{"amd64"}}, `platform "amd64": not of the form linux/ARCHITECTURE or linux/ARCHITECTURE/VARIANT`},
		{Settings{Platforms: []string{"windows/amd64"}}, `platform "windows/amd64": not of the form linux/ARCHITECTURE or linux/ARCHITECTURE/VARIANT`},
		{Settings{CABundle: []byte("none")}, "read the CA bundle: no PEM certificate in it"},
		{Settings{Mirrors: map[string][]string{"docker.io": {"https://m.example"}}}, `mirror "https://m.example" of docker.io: not of the form HOST or HOST/PREFIX`},
		{Settings{Mirrors: map[string][]string{"index.docker.io": {"m.example/../x"}}}, `mirror "m.example/../x" of docker.io: not of the form HOST or HOST/PREFIX`},
	} {
		if _, err := New(tt.settings); err == nil || err.Error() != tt.want {
			t.Errorf("want %s, have %v", tt.want, err)
		}
	}
}

func TestANameThatIsNone(t *testing.T) {
	r := registries(t, Settings{})
	if e := refusal(t, r, Query{Image: "Not An Image"}); e.Kind != BadReference || e.Registry != "" || e.Image != "Not An Image" {
		t.Errorf("have %+v", e)
	}
}

func TestAnIndexWithABrokenEntry(t *testing.T) {
	good := built(t, "linux/amd64", []string{"/e"})
	other := built(t, "linux/arm64", []string{"/f"})
	both := index(t, types.OCIImageIndex, entryOf(t, good, "linux/amd64"), entryOf(t, other, "linux/arm64"))
	digest, err := other.Digest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := other.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, broken string
		code         int
		kind         Kind
	}{
		{"a manifest that is not there", digest.String(), 404, NotFound},
		{"a manifest that may not be read", digest.String(), 403, Unauthorized},
		{"a configuration that is not there", config.String(), 404, NotFound},
		{"a configuration that the registry cannot find now", config.String(), 500, Unreachable},
		{"one request too many", config.String(), 429, RateLimited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, false)
			text := s.push(t, "app:1", both)
			s.before = func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, tt.broken) {
					w.WriteHeader(tt.code)
				}
			}
			facts := mustLook(t, registries(t, Settings{Platforms: []string{"linux/amd64"}}, s), Query{Image: text})
			if names(facts) != "linux/amd64 /e" {
				t.Errorf("what nodes have is not read: %s", names(facts))
			}
			if n := s.counted("GET /v2/app/"); n != 3 {
				t.Errorf("%d requests for index, manifest and configuration", n)
			}
			if e := refusal(t, registries(t, Settings{}, s), Query{Image: text}); e.Kind != tt.kind {
				t.Errorf("want %s, have %v", tt.kind, e)
			}
		})
	}
}
