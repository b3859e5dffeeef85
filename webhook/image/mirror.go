package image

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// mirror is a place that is asked for a registry's images first.
type mirror struct {
	registry name.Registry
	prefix   string // of the repository at the mirror; "": none
}

// parseMirrors parses Settings.Mirrors.
func parseMirrors(s Settings) (map[string][]mirror, error) {
	all := map[string][]mirror{}
	for registry, places := range s.Mirrors {
		if isHub(registry) {
			registry = hub[0]
		}
		for _, place := range places {
			m, err := parseMirror(place, s.PlainHTTP)
			if err != nil {
				return nil, fmt.Errorf("mirror %q of %s: %w", place, registry, err)
			}
			all[registry] = append(all[registry], m)
		}
	}
	return all, nil
}

// parseMirror parses HOST or HOST/PREFIX.
func parseMirror(place string, plain []string) (mirror, error) {
	host, prefix, _ := strings.Cut(place, "/")
	if !hostForm.MatchString(host) || prefix != "" && !pathForm.MatchString(prefix) {
		return mirror{}, errors.New("not of the form HOST or HOST/PREFIX")
	}
	registry, err := name.NewRegistry(host, scheme(host, plain)...)
	return mirror{registry: registry, prefix: prefix}, err
}

// scheme returns the option that makes go-containerregistry use plain HTTP for
// the listed hosts.
func scheme(host string, plain []string) []name.Option {
	if slices.Contains(plain, strings.ToLower(host)) {
		return []name.Option{name.Insecure}
	}
	return nil
}

// at returns the reference to the image at a mirror.
func (r reference) at(m mirror) name.Reference {
	repo := m.registry.Repo(path.Join(m.prefix, r.Context().RepositoryStr()))
	if digest, ok := r.Reference.(name.Digest); ok {
		return repo.Digest(digest.DigestStr())
	}
	return repo.Tag(r.Identifier())
}
