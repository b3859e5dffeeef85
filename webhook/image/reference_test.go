package image

import (
	"net/url"
	"strings"
	"testing"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // host, and the name that is requested
		err  string // part of the error
	}{
		{text: "nginx", want: "docker.io index.docker.io/library/nginx:latest"},
		{text: "nginx:1.27", want: "docker.io index.docker.io/library/nginx:1.27"},
		{text: "team/app", want: "docker.io index.docker.io/team/app:latest"},
		{text: "docker.io/nginx", want: "docker.io index.docker.io/library/nginx:latest"},
		{text: "registry-1.docker.io/library/nginx", want: "docker.io registry-1.docker.io/library/nginx:latest"},
		{text: "reg.example/a/b/c:1", want: "reg.example reg.example/a/b/c:1"},
		{text: "reg.example:5000/a", want: "reg.example:5000 reg.example:5000/a:latest"},
		{text: "localhost/a", want: "localhost localhost/a:latest"},
		{text: "[fd00::1]:5000/a:1", want: "[fd00::1]:5000 [fd00::1]:5000/a:1"},
		{text: "REG.example/a:1", want: "reg.example REG.example/a:1"},
		{text: "reg.example/a@" + someDigest, want: "reg.example reg.example/a@" + someDigest},
		{text: "reg.example/a:1@" + someDigest, want: "reg.example reg.example/a@" + someDigest},
		{text: "reg.example/a__b-c.d:1", want: "reg.example reg.example/a__b-c.d:1"},
		{text: "", err: "the name does not have the form registry/name:tag"},
		{text: "reg.example/a:", err: "the name does not have the form"},
		{text: "reg.example/A", err: "the name does not have the form"},
		{text: "https://reg.example/a", err: "the name does not have the form"},
		{text: "reg.example/a@sha256:123", err: "the name does not have the form"},
		{text: "reg.example/../a:1", err: "is not a valid name in a registry"},
		{text: "reg.example/a/../../b:1", err: "is not a valid name in a registry"},
		{text: "reg.example/a//b:1", err: "is not a valid name in a registry"},
		{text: "reg.example/a/:1", err: "is not a valid name in a registry"},
		{text: "reg.example/a:..", err: "is not a tag"},
		{text: "reg.exam_ple/a:1", err: "is not the host of a registry"},
		{text: "reg.example/a:" + strings.Repeat("x", 2000), err: "the limit is 1024"},
	} {
		t.Run(tt.text[:min(60, len(tt.text))], func(t *testing.T) {
			ref, err := parseReference(tt.text, nil)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("want error %q, have %v", tt.err, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if have := ref.host + " " + ref.Name(); have != tt.want {
				t.Errorf("want %s, have %s", tt.want, have)
			}
		})
	}
}

func TestPlainHTTPIsForListedHosts(t *testing.T) {
	for host, want := range map[string]string{"reg.example:5000": "http", "other.example": "https"} {
		ref, err := parseReference(host+"/a", []string{"reg.example:5000"})
		if err != nil {
			t.Fatal(err)
		}
		if have := ref.Context().Scheme(); have != want {
			t.Errorf("%s: want %s, have %s", host, want, have)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, text := range []string{"nginx", "reg.example:5000/a/b:1", "[::1]:1/a@" + someDigest, "a/../b:..", "a@b@c", "x:y/z?q#f%2e", strings.Repeat("0", 250)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := parseReference(text, nil)
		if err != nil {
			return
		}
		again, err := parseReference(ref.Name(), nil)
		if err != nil || again.Name() != ref.Name() {
			t.Fatalf("%q: %q, then %v", ref.Name(), again, err)
		}
		address := "https://" + ref.Context().RegistryStr() + "/v2/" + ref.Context().RepositoryStr() + "/manifests/" + ref.Identifier()
		u, err := url.Parse(address)
		if err != nil || u.Host != ref.Context().RegistryStr() || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("%q: %v, %v", address, u, err)
		}
		if u.JoinPath().Path != u.Path {
			t.Errorf("%q is the path %q", u.Path, u.JoinPath().Path)
		}
	})
}
