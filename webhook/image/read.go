package image

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

const (
	maxManifests = 64        // read for one image
	maxDepth     = 2         // indexes within indexes
	maxCommand   = 128 << 10 // bytes of an image's settings: the kernel's limit for one argument
	atOnce       = 8         // concurrent requests for one index
)

// referenceType is the annotation by which build tools mark entries of an index
// that are not images, for example attestations.
const referenceType = "vnd.docker.reference.type"

// reader reads one image or index.
type reader struct {
	puller *remote.Puller
	repo   name.Repository
	want   []string // as Settings.Platforms
	count  atomic.Int32
}

// read returns the facts about an image on each platform.
func read(ctx context.Context, puller *remote.Puller, top *remote.Descriptor, repo name.Repository, want []string) (Facts, error) {
	r := &reader{puller: puller, repo: repo, want: want}
	platforms, err := r.manifest(ctx, top, "", 0)
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{Digest: top.Digest.String()}
	for _, p := range platforms {
		known := slices.ContainsFunc(facts.Platforms, func(f Platform) bool { return f.Name == p.Name })
		if !known {
			facts.Platforms = append(facts.Platforms, p) // runtimes also take the first one
		}
	}
	if len(facts.Platforms) == 0 {
		return Facts{}, problemf(Unsupported, "the image has none of the required platforms (%s)", describe(want))
	}
	return facts, nil
}

// describe formats the wanted platforms for a message.
func describe(want []string) string {
	if len(want) == 0 {
		return "linux"
	}
	return strings.Join(want, ", ")
}

// manifest reads an image or an index. platform is its platform according to an
// enclosing index, or "" if unknown.
func (r *reader) manifest(ctx context.Context, d *remote.Descriptor, platform string, depth int) ([]Platform, error) {
	switch kind := mediaType(d); {
	case kind.IsIndex():
		return r.index(ctx, d, depth)
	case kind.IsImage():
		return r.image(d, platform, depth)
	case kind.IsSchema1():
		return nil, problemf(Unsupported, "the image has the format of Docker before 2016 (schema 1), which container runtimes do not support: push it again")
	default:
		return nil, problemf(Unsupported, "the artifact is not a container image")
	}
}

// mediaType returns the type of a manifest according to the registry or, if the
// registry reports an unknown type, according to the manifest itself.
func mediaType(d *remote.Descriptor) types.MediaType {
	if d.MediaType.IsIndex() || d.MediaType.IsImage() || d.MediaType.IsSchema1() {
		return d.MediaType
	}
	var own struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if json.Unmarshal(d.Manifest, &own) != nil {
		return ""
	}
	return own.MediaType
}

// index reads every image of an index that nodes can run, several concurrently.
func (r *reader) index(ctx context.Context, d *remote.Descriptor, depth int) ([]Platform, error) {
	if depth > maxDepth {
		return nil, problemf(Unsupported, "the image has more than %d levels of indexes", maxDepth)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(d.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	found := make([][]Platform, len(index.Manifests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, child := range index.Manifests {
		platform, ok := r.runs(child)
		if !ok {
			continue
		}
		group.Go(func() (err error) {
			problem := contained("", func() *Error {
				found[i], err = r.child(ctx, child, platform, depth+1)
				return nil
			})
			if problem != nil {
				return problem.err
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// runs reports whether an entry of an index may be an image that nodes run, and
// for which platform, or "" if the index does not specify it.
func (r *reader) runs(d v1.Descriptor) (string, bool) {
	if d.Annotations[referenceType] != "" || !d.MediaType.IsIndex() && !d.MediaType.IsImage() {
		return "", false
	}
	if d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "" {
		return "", true
	}
	platform := platformName(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
	return platform, wanted(r.want, platform)
}

// wanted reports whether nodes can have a platform. A wanted platform without a
// variant includes all of its variants.
func wanted(want []string, platform string) bool {
	if len(want) == 0 {
		return strings.HasPrefix(platform, "linux/")
	}
	return slices.ContainsFunc(want, func(w string) bool {
		return platform == w || strings.HasPrefix(platform, w+"/")
	})
}

// checkPlatforms rejects a list with an entry that is not a Linux platform.
func checkPlatforms(platforms []string) error {
	for _, p := range platforms {
		if parts := strings.Split(p, "/"); parts[0] != "linux" || len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
			return fmt.Errorf("platform %q: not of the form linux/ARCHITECTURE or linux/ARCHITECTURE/VARIANT", p)
		}
	}
	return nil
}

// errArtifact is the error for an artifact that is stored like an image but is
// not one.
var errArtifact = problemf(Unsupported, "the artifact is not a container image: its configuration is not one of the OCI's or Docker's")

// child reads one entry of an index. It omits an entry that is not an image,
// because no node runs it. An example is the index of an image's files that some
// runtimes use for lazy loading.
func (r *reader) child(ctx context.Context, d v1.Descriptor, platform string, depth int) ([]Platform, error) {
	if r.count.Add(1) > maxManifests {
		return nil, problemf(Unsupported, "the image has more than %d manifests", maxManifests)
	}
	manifest, err := r.puller.Get(ctx, r.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	platforms, err := r.manifest(ctx, manifest, platform, depth)
	if errors.Is(err, errArtifact) {
		return nil, nil
	}
	return platforms, err
}

// configFile contains the fields that are read from an image's configuration.
// Builders write many more.
//
// Source: OCI image specification, "Image Configuration".
type configFile struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	Config       struct {
		Entrypoint []string
		Cmd        []string
		Env        []string
		User       string
		WorkingDir string
		StopSignal string
	} `json:"config"`
}

// image reads the configuration of an image. An image that is not part of an
// index is read even if its architecture is not wanted, because there is no
// other.
func (r *reader) image(d *remote.Descriptor, platform string, depth int) ([]Platform, error) {
	data, err := config(d)
	if err != nil {
		return nil, err
	}
	var file configFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	if platform == "" {
		platform = platformName(cmp.Or(file.OS, "linux"), file.Architecture, file.Variant)
		if depth > 0 && !wanted(r.want, platform) {
			return nil, nil
		}
	}
	if os, _, _ := strings.Cut(platform, "/"); os != "linux" {
		return nil, problemf(Unsupported, "the image is not for Linux")
	}
	c := file.run()
	if n := c.size(); n > maxCommand {
		return nil, problemf(Unsupported, "the command of the image has %d bytes, and the limit is %d", n, maxCommand)
	}
	return []Platform{{Name: platform, Config: c}}, nil
}

// run returns the settings with which the image is run.
func (f configFile) run() Config {
	c := Config{
		Entrypoint: f.Config.Entrypoint, Cmd: f.Config.Cmd,
		StopSignal: f.Config.StopSignal, User: f.Config.User, WorkingDir: f.Config.WorkingDir,
	}
	for _, e := range f.Config.Env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			c.Path = value
		}
	}
	return c
}

// config returns the configuration of an image, verified against its digest.
func config(d *remote.Descriptor) ([]byte, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(d.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if manifest.Config.Digest == (v1.Hash{}) {
		return nil, problemf(Unsupported, "the artifact is not a container image: it has no configuration")
	}
	switch kind := manifest.Config.MediaType; {
	case kind.IsConfig(), kind == "", kind == "application/octet-stream":
	default:
		return nil, errArtifact
	}
	if manifest.Config.Size > maxAnswer {
		return nil, problemf(Invalid, "the configuration of the image has %d bytes, and the limit is %d", manifest.Config.Size, maxAnswer)
	}
	img, err := d.Image()
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}
