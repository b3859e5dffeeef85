package image

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// What registries accept, and nothing that a URL would read in another way:
// go-containerregistry lets "..", for one, through.
var (
	hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	pathForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

// longestPath bounds a name in a registry, also one that gets its "library/"
// only as it is read (github.com/distribution/reference).
const longestPath = 255

// hub are Docker Hub's names. The first is the one people write, the second
// the one that credentials are stored under.
var hub = [...]string{"docker.io", "index.docker.io", "registry-1.docker.io"}

// longestName bounds what is read of an image's name, in bytes.
const longestName = 1024

// reference is an image's name, read.
type reference struct {
	name.Reference
	host string // as people write it, with the port if one is given: "docker.io"
}

// parseReference reads an image as it stands in a pod. A name with a tag and
// a digest is its digest. The plain hosts are spoken to without TLS.
func parseReference(text string, plain []string) (reference, error) {
	if len(text) > longestName {
		return reference{}, fmt.Errorf("the name has %d bytes, at most %d are read", len(text), longestName)
	}
	parsed, err := name.ParseReference(text)
	if err == nil {
		parsed, err = name.ParseReference(text, scheme(parsed.Context().RegistryStr(), plain)...)
	}
	if err != nil {
		return reference{}, errors.New("this is not registry/name:tag or registry/name@digest")
	}
	repo := parsed.Context()
	ref := reference{Reference: parsed, host: strings.ToLower(repo.RegistryStr())}
	if isHub(ref.host) {
		ref.host = hub[0]
	}
	if !hostForm.MatchString(repo.RegistryStr()) {
		return reference{}, fmt.Errorf("%q is not the host of a registry", repo.RegistryStr())
	}
	if n := len(repo.RepositoryStr()); n > longestPath {
		return reference{}, fmt.Errorf("the name in the registry has %d bytes, the container runtime takes %d", n, longestPath)
	}
	if !pathForm.MatchString(repo.RepositoryStr()) {
		return reference{}, fmt.Errorf("%q is not a name in a registry: lower-case words and digits, joined by single . _ or -, separated by /", repo.RepositoryStr())
	}
	if tag, ok := parsed.(name.Tag); ok && !tagForm.MatchString(tag.TagStr()) {
		return reference{}, fmt.Errorf("%q is not a tag", tag.TagStr())
	}
	return ref, nil
}

// isHub reports whether a host is Docker Hub.
func isHub(host string) bool {
	return host == hub[0] || host == hub[1] || host == hub[2]
}
