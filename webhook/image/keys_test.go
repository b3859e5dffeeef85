package image

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func secret(kind corev1.SecretType, key, data string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pull"},
		Type:       kind, Data: map[string][]byte{key: []byte(data)},
	}
}

func TestParseSecret(t *testing.T) {
	config, legacy := corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg
	for _, tt := range []struct {
		name string
		kind corev1.SecretType
		data string
		want string // user:password@host/path, in the order in which they are tried
		err  string
	}{
		{name: "user and password", kind: config, data: `{"auths":{"reg.example":{"username":"u","password":"p"}}}`, want: "u:p@reg.example"},
		{name: "auth", kind: config, data: `{"auths":{"reg.example":{"auth":"` + b64("u:p:q") + `"}}}`, want: "u:p:q@reg.example"},
		{name: "auth wins", kind: config, data: `{"auths":{"reg.example":{"username":"x","password":"y","auth":"` + b64("u:p") + `"}}}`, want: "u:p@reg.example"},
		{name: "auth without padding", kind: config, data: `{"auths":{"reg.example":{"auth":"` + strings.TrimRight(b64("u:pp"), "=") + `"}}}`, want: "u:pp@reg.example"},
		{name: "the legacy form", kind: legacy, data: `{"https://reg.example/v1/":{"auth":"` + b64("u:p") + `","email":"a@b"}}`, want: "u:p@reg.example"},
		{name: "the API's path is none", kind: config, data: `{"auths":{"https://reg.example/v2/team":{"username":"u","password":"p"},"reg.example/v1":{"username":"v","password":"p"}}}`, want: "u:p@reg.example/team v:p@reg.example"},
		{name: "a path that only begins like the API's", kind: config, data: `{"auths":{"reg.example/v1x":{"username":"u","password":"p"}}}`, want: "u:p@reg.example/v1x"},
		{name: "the most specific first", kind: config, data: `{"auths":{"*.example":{"username":"c","password":"p"},"reg.example/a/b":{"username":"a","password":"p"},"reg.example":{"username":"b","password":"p"}}}`, want: "a:p@reg.example/a/b b:p@reg.example c:p@*.example"},
		{name: "hosts in lower case", kind: config, data: `{"auths":{"REG.example:5000":{"username":"u","password":"p"}}}`, want: "u:p@reg.example:5000"},
		{name: "an entry without credentials is none", kind: config, data: `{"auths":{"reg.example":{}},"credsStore":"desktop"}`},
		{name: "a password without user", kind: config, data: `{"auths":{"reg.example":{"password":"p"}}}`, want: ":p@reg.example"},
		{name: "nothing", kind: config, data: ``, err: `secret "shop/pull": this is not the JSON of a Docker configuration`},
		{name: "not JSON", kind: legacy, data: `hunter2`, err: `secret "shop/pull": this is not the JSON of a Docker configuration`},
		{name: "auth that is not base64", kind: config, data: `{"auths":{"reg.example":{"auth":"hunter2!"}}}`, err: `secret "shop/pull": auths["reg.example"].auth: not base64`},
		{name: "auth without colon", kind: config, data: `{"auths":{"reg.example":{"auth":"` + b64("hunter2") + `"}}}`, err: `secret "shop/pull": auths["reg.example"].auth: not user:password in base64`},
		{name: "another type", kind: corev1.SecretTypeOpaque, err: `secret "shop/pull": type "Opaque" holds no credentials for registries: use kubernetes.io/dockerconfigjson`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := corev1.DockerConfigJsonKey
			if tt.kind == legacy {
				key = corev1.DockerConfigKey
			}
			keys, err := ParseSecret(secret(tt.kind, key, tt.data))
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Fatalf("want error %q, have %v", tt.err, err)
			}
			var have []string
			for _, k := range keys {
				have = append(have, k.user+":"+k.password+"@"+k.host+k.path)
				if k.label != `secret "shop/pull"` {
					t.Errorf("label %s", k.label)
				}
			}
			if diff := cmp.Diff(strings.Fields(tt.want), have); diff != "" && len(have)+len(tt.want) > 0 {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name       string
		place      string
		host, repo string
		want       bool
	}{
		{"the host", "reg.example", "reg.example", "a/b", true},
		{"another host", "reg.example", "reg.example.evil", "a/b", false},
		{"a host that ends like it", "reg.example", "xreg.example", "a/b", false},
		{"the host in other letters", "reg.example", "REG.example", "a/b", true},
		{"the port", "reg.example:5000", "reg.example:5000", "a/b", true},
		{"another port", "reg.example:5000", "reg.example:5001", "a/b", false},
		{"a port where the key has none", "reg.example", "reg.example:5000", "a/b", false},
		{"no port where the key has one", "reg.example:5000", "reg.example", "a/b", false},
		{"a glob for a label", "*.reg.example", "eu.reg.example", "a/b", true},
		{"a glob is one label", "*.reg.example", "a.eu.reg.example", "a/b", false},
		{"a glob is not no label", "*.reg.example", "reg.example", "a/b", false},
		{"a glob within a label", "eu-*.reg.example", "eu-1.reg.example", "a/b", true},
		{"a glob with a port", "*.example:5000", "reg.example:5000", "a/b", true},
		{"a glob with another port", "*.example:5000", "reg.example", "a/b", false},
		{"a glob for the last label", "reg.*", "reg.example", "a/b", true},
		{"a broken glob", "[.example", "r.example", "a/b", false},
		{"a path", "reg.example/a", "reg.example", "a/b", true},
		{"the whole path", "reg.example/a/b", "reg.example", "a/b", true},
		{"a longer path", "reg.example/a/b/c", "reg.example", "a/b", false},
		{"another path", "reg.example/x", "reg.example", "a/b", false},
		{"the beginning of a word, as the kubelet has it", "reg.example/te", "reg.example", "team/app", true},
		{"an IPv6 address", "[fd00::1]:5000", "[fd00::1]:5000", "a/b", true},
		{"an IPv6 address without port", "[fd00::1]", "[fd00::1]", "a/b", true},
		{"an IPv6 address is no glob", "[fd00::1]", "f", "a/b", false},
		{"Docker Hub by the name of its index", "https://index.docker.io/v1/", "index.docker.io", "library/a", true},
		{"Docker Hub by its short name", "docker.io", "index.docker.io", "library/a", true},
		{"Docker Hub by its API", "registry-1.docker.io", "index.docker.io", "library/a", true},
		{"a part of Docker Hub", "docker.io/team", "index.docker.io", "team/app", true},
		{"another part of Docker Hub", "docker.io/team", "index.docker.io", "library/a", false},
		{"a glob for Docker Hub", "*.io", "index.docker.io", "library/a", true},
		{"Docker Hub is nobody else", "docker.io", "docker.io.evil", "library/a", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := keysFor(t, "s", tt.place, "u", "p").match(tt.host, tt.repo)
			if have := len(found) == 1; have != tt.want {
				t.Errorf("want %v, have %v", tt.want, have)
			}
		})
	}
}

func TestMatchListsEachCredentialOnce(t *testing.T) {
	keys := slices.Concat(
		keysFor(t, "first", "reg.example", "u", "p"), keysFor(t, "second", "*.example", "u", "p"),
		keysFor(t, "third", "reg.example", "v", "p"), keysFor(t, "fourth", "other.example", "w", "p"))
	var have []string
	for _, k := range keys.match("reg.example", "a") {
		have = append(have, k.label+" "+k.user)
	}
	if diff := cmp.Diff([]string{"first u", "third v"}, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func FuzzSecret(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"*.a:1/b":{"username":"u","password":"p"}}}`), false, "a.a:1", "b/c")
	f.Add([]byte(`{"[::1]:5000":{"auth":"dTpw"}}`), true, "[::1]:5000", "x")
	f.Fuzz(func(t *testing.T, data []byte, legacy bool, host, repo string) {
		keys, err := parseKeys("label", data, legacy)
		if err != nil && len(keys) > 0 {
			t.Fatalf("keys and an error: %v", err)
		}
		for _, k := range keys {
			if k.user == "" && k.password == "" || k.path != "" && k.path[0] != '/' || k.host != strings.ToLower(k.host) {
				t.Errorf("key %+v", k)
			}
		}
		again, _ := parseKeys("label", data, legacy)
		if !slices.Equal(keys, again) {
			t.Errorf("first %v, then %v", keys, again)
		}
		for _, k := range keys.match(host, repo) {
			if !strings.HasPrefix("/"+repo, k.path) {
				t.Errorf("key for %s%s matches %s/%s", k.host, k.path, host, repo)
			}
		}
	})
}
