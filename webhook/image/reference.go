package image

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Names that registries accept and that a URL cannot represent differently.
// go-containerregistry is less strict: it accepts "..", for example.
var (
	hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	pathForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

// longestPath bounds a name in a registry, including a "library/" that is added
// when the name is parsed (github.com/distribution/reference).
const longestPath = 255

// hub are the names of Docker Hub. People write the first one, and credentials
// are stored under the second one.
var hub = [...]string{"docker.io", "index.docker.io", "registry-1.docker.io"}

// longestName bounds the length of an image's name, in bytes.
const longestName = 1024

// reference is a parsed image name.
type reference struct {
	name.Reference
	host string // in the usual notation, with the port if one is given: "docker.io"
	tag  string // as written, or the default; "" for a digest without a tag
}

// parseReference parses an image as written in a pod. A name with a tag and a
// digest refers to the digest. Hosts in plain are contacted without TLS.
func parseReference(text string, plain []string) (reference, error) {
	if len(text) > longestName {
		return reference{}, fmt.Errorf("the name has %d bytes, and the limit is %d", len(text), longestName)
	}
	parsed, err := name.ParseReference(text)
	if err == nil {
		parsed, err = name.ParseReference(text, scheme(parsed.Context().RegistryStr(), plain)...)
	}
	if err != nil {
		return reference{}, errors.New("the name does not have the form registry/name:tag or registry/name@digest")
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
		return reference{}, fmt.Errorf("the name in the registry has %d bytes, and container runtimes accept at most %d", n, longestPath)
	}
	if !pathForm.MatchString(repo.RepositoryStr()) {
		return reference{}, fmt.Errorf("%q is not a valid name in a registry: use lowercase letters and digits, joined by single . _ or - and separated by /", repo.RepositoryStr())
	}
	if ref.tag = tagOf(parsed, text); ref.tag != "" && !tagForm.MatchString(ref.tag) {
		return reference{}, fmt.Errorf("%q is not a tag", ref.tag)
	}
	return ref, nil
}

// tagOf returns the tag of a reference that was parsed from a text. name.Digest
// does not contain the tag of "name:tag@digest".
func tagOf(parsed name.Reference, text string) string {
	if tag, ok := parsed.(name.Tag); ok {
		return tag.TagStr()
	}
	named, _, _ := strings.Cut(text, "@")
	_, tag, _ := strings.Cut(named[strings.LastIndexByte(named, '/')+1:], ":")
	return tag
}

// isHub reports whether a host is Docker Hub.
func isHub(host string) bool {
	return host == hub[0] || host == hub[1] || host == hub[2]
}
