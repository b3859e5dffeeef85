package command

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	imagename "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry starts a registry with an image app:1 that has an entrypoint, and sets
// REGISTRY to the registry's host. It replaces HOST with that host in the given files.
func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Entrypoint: []string{"/app"}, Cmd: []string{"--serve"}},
	})
	ts.Check(err)
	ref, err := imagename.ParseReference(host+"/app:1", imagename.Insecure)
	ts.Check(err)
	ts.Check(remote.Write(ref, image))
	ts.Setenv("REGISTRY", host)
	for _, file := range args {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(strings.ReplaceAll(ts.ReadFile(file), "HOST", host)), 0o644))
	}
}
