package chart

import (
	"bytes"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// made runs make in the root of the repository with variables, and with the helm of these tests.
func made(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", append(args, "HELM="+helm)...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestAReleasedChartInstallsTheReleasedImages packages v1.2.3 as the release workflow does,
// pushes it to a registry, and renders the chart that a user gets from there.
func TestAReleasedChartInstallsTheReleasedImages(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(&bytes.Buffer{}, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	made(t, "package", "VERSION=v1.2.3", "REGISTRY="+host+"/example/koordinator", "SOURCE=https://git.example/example/koordinator", "CHART="+dir)
	made(t, "push-chart", "VERSION=v1.2.3", "REGISTRY="+host+"/example/koordinator", "CHART="+dir, "HELM_PUSH=--plain-http")
	ref, err := os.ReadFile(filepath.Join(dir, "koordinator.ref"))
	if err != nil || !strings.HasPrefix(string(ref), host+"/example/koordinator/charts/koordinator@sha256:") {
		t.Fatalf("reference to sign: %q, %v", ref, err)
	}
	released := "oci://" + host + "/example/koordinator/charts/koordinator"
	text, err := exec.CommandContext(t.Context(), helm, "template", "shop", released, "--version", "1.2.3", "--plain-http").Output()
	if err != nil {
		t.Fatal(err)
	}
	webhook, wrapper := host+"/example/koordinator/webhook:v1.2.3", host+"/example/koordinator/wrapper:v1.2.3"
	for _, want := range []string{"image: \"" + webhook + "\"", "value: \"" + wrapper + "\"", "app.kubernetes.io/version: \"v1.2.3\""} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the released chart does not have %s", want)
		}
	}
	metadata, err := exec.CommandContext(t.Context(), helm, "show", "chart", released, "--version", "1.2.3", "--plain-http").Output()
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Version, AppVersion, KubeVersion, Home, Icon string
		Sources                                      []string
		Maintainers                                  []struct{ Name string }
		Annotations                                  map[string]string
	}
	if err := yaml.UnmarshalStrict(metadata, &c, yaml.DisallowUnknownFields); err != nil && c.Version == "" {
		t.Fatal(err)
	}
	const source = "https://git.example/example/koordinator"
	if c.Version != "1.2.3" || c.AppVersion != "v1.2.3" || c.KubeVersion == "" || c.Home != source || c.Sources[0] != source || len(c.Maintainers) == 0 ||
		c.Icon != source+"/raw/v1.2.3/charts/koordinator/icon.svg" || c.Annotations["artifacthub.io/prerelease"] != "false" {
		t.Errorf("metadata: %s", metadata)
	}
	var images []struct{ Name, Image string }
	if err := yaml.Unmarshal([]byte(c.Annotations["artifacthub.io/images"]), &images); err != nil || len(images) != 2 || images[0].Image != webhook || images[1].Image != wrapper {
		t.Errorf("images: %+v, %v", images, err)
	}
}

// TestTheLinksOfTheChartLeadSomewhere checks that the links lead to files of the repository.
func TestTheLinksOfTheChartLeadSomewhere(t *testing.T) {
	var links []struct{ Name, URL string }
	annotations := values(t, source+"/Chart.yaml")["annotations"].(map[string]any)
	if err := yaml.Unmarshal([]byte(annotations["artifacthub.io/links"].(string)), &links); err != nil || len(links) == 0 {
		t.Fatal(links, err)
	}
	for _, l := range links {
		file, found := strings.CutPrefix(l.URL, "https://koordinator.io/blob/main/")
		if _, err := os.Stat(filepath.Join("../..", file)); err != nil || !found {
			t.Errorf("%s: %s: %v", l.Name, l.URL, err)
		}
	}
	if _, err := os.Stat(source + "/icon.svg"); err != nil {
		t.Error(err)
	}
}

// built returns the objects that kustomize builds from a directory, by kind and name.
func built(t *testing.T, dir string) objects {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	for _, r := range made.Resources() {
		o := all[r.GetKind()+" "+r.GetName()]
		if err := yaml.Unmarshal([]byte(r.MustYaml()), &o.Object); err != nil {
			t.Fatal(err)
		}
		all[r.GetKind()+" "+r.GetName()] = o
	}
	return all
}

func TestKustomizeOverlay(t *testing.T) {
	spec, c := container(t, objects{deployment: built(t, "../../config/overlay")["Deployment koordinator"]})
	if c.Image != "registry.example.com/koordinator/webhook:v1.2.3" || wrapperImage(c) != "registry.example.com/koordinator/wrapper:v1.2.3" {
		t.Errorf("webhook %s, wrapper %s", c.Image, wrapperImage(c))
	}
	if !slices.Contains(c.Args, "--log-level=debug") || !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "HTTPS_PROXY" }) {
		t.Errorf("args %v, environment %v", c.Args, c.Env)
	}
	if spec.ServiceAccountName == "" {
		t.Error("no service account")
	}
	here, there := "../../config/overlay/kustomizeconfig.yaml", "../../config/default/kustomizeconfig.yaml"
	copied, err1 := os.ReadFile(here)
	original, err2 := os.ReadFile(there)
	if err1 != nil || err2 != nil || !bytes.Equal(copied, original) {
		t.Errorf("%s is no copy of %s: %v, %v", here, there, err1, err2)
	}
}

// TestKustomizeIsRenderedWithValues runs config/generate.sh on a copy, as
// docs/how-to/kustomize.md describes.
func TestKustomizeIsRenderedWithValues(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"charts", "config"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS("../../"+part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "my-values.yaml"), []byte("certificates: self-signed\npodOptIn: {enabled: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "config/generate.sh")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HELM="+helm, "NAMESPACE=ordering", "VALUES=../my-values.yaml")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := built(t, filepath.Join(dir, "config/manager"))
	maps.Copy(all, built(t, filepath.Join(dir, "config/webhook")))
	d := all["Deployment koordinator"]
	if d.GetNamespace() != "ordering" {
		t.Errorf("namespace %q", d.GetNamespace())
	}
	if _, made := all["ValidatingAdmissionPolicyBinding koordinator-refuse-uninjected-opt-in"]; !made {
		t.Error("podOptIn has no effect")
	}
}
