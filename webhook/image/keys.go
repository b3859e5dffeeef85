package image

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Keys are credentials for registries, in the order in which they are tried.
// Join those of several secrets with slices.Concat.
type Keys []Key

// Key is one entry of a pull secret.
type Key struct {
	label    string // where it comes from, for messages: `secret "shop/pull"`
	host     string // lower case, with the port; each label may be a glob of path.Match
	path     string // prefix of the repository, beginning with "/"; "": any repository
	user     string
	password string
}

// ParseSecret parses a pull secret of either type. As in the kubelet, a secret
// that cannot be parsed completely is not used at all. The entries of a secret
// are tried in reverse alphabetical order, so that longer paths of a host come
// before shorter ones.
func ParseSecret(s *corev1.Secret) (Keys, error) {
	label := fmt.Sprintf("secret %q", s.Namespace+"/"+s.Name)
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		return parseKeys(label, s.Data[corev1.DockerConfigJsonKey], false)
	case corev1.SecretTypeDockercfg:
		return parseKeys(label, s.Data[corev1.DockerConfigKey], true)
	default:
		return nil, fmt.Errorf("%s: type %q holds no credentials for registries: use %s", label, s.Type, corev1.SecretTypeDockerConfigJson)
	}
}

// ParseConfig parses Docker's config.json. label is the origin of the file, for
// messages. Credential helpers are not run, so only credentials in the file
// itself are used.
func ParseConfig(label string, data []byte) (Keys, error) { return parseKeys(label, data, false) }

// entry contains the credentials for a registry. Auth, which is base64 of
// user:password, takes precedence.
type entry struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// parseKeys parses either format. The content of the older one is the value of
// "auths" in the newer one. Its errors never quote the input.
func parseKeys(label string, data []byte, legacy bool) (Keys, error) {
	var file struct {
		Auths map[string]entry `json:"auths"`
	}
	var err error
	if legacy {
		err = json.Unmarshal(data, &file.Auths)
	} else {
		err = json.Unmarshal(data, &file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: this is not the JSON of a Docker configuration", label)
	}
	var keys Keys
	for place, e := range file.Auths {
		k := Key{label: label, user: e.Username, password: e.Password}
		if e.Auth != "" {
			if k.user, k.password, err = decodeAuth(e.Auth); err != nil {
				return nil, fmt.Errorf("%s: auths[%q].auth: %w", label, place, err)
			}
		}
		if k.user == "" && k.password == "" {
			continue
		}
		k.host, k.path = splitPlace(place)
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return -cmp.Or(cmp.Compare(a.host+a.path, b.host+b.path), cmp.Compare(a.user, b.user), cmp.Compare(a.password, b.password))
	})
	return keys, nil
}

// decodeAuth decodes base64 of user:password, with or without padding.
func decodeAuth(text string) (user, password string, err error) {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil {
		return "", "", errors.New("not base64")
	}
	user, password, found := strings.Cut(string(decoded), ":")
	if !found {
		return "", "", errors.New("not user:password in base64")
	}
	return user, password, nil
}

// splitPlace parses the name of an entry: a host, with or without scheme, port
// and path. It omits the path of Docker's API.
func splitPlace(place string) (host, prefix string) {
	place = strings.TrimPrefix(strings.TrimPrefix(place, "https://"), "http://")
	host, rest, _ := strings.Cut(place, "/")
	for _, api := range []string{"v1", "v2"} {
		if rest == api || strings.HasPrefix(rest, api+"/") {
			rest = strings.TrimPrefix(rest[len(api):], "/")
			break
		}
	}
	if rest != "" {
		rest = "/" + rest
	}
	return strings.ToLower(host), rest
}

// match returns the keys for a repository, with each user and password only once.
func (k Keys) match(host, repository string) Keys {
	hosts := []string{strings.ToLower(host)}
	if isHub(hosts[0]) {
		hosts = hub[:]
	}
	var found Keys
	for _, key := range k {
		fits := strings.HasPrefix("/"+repository, key.path) &&
			slices.ContainsFunc(hosts, func(h string) bool { return matchHost(key.host, h) })
		known := slices.ContainsFunc(found, func(f Key) bool { return f.user == key.user && f.password == key.password })
		if fits && !known {
			found = append(found, key)
		}
	}
	return found
}

// matchHost reports whether a pattern matches a host by the rules of the kubelet:
// ports are equal, and so is the number of labels, each of which may be a glob.
func matchHost(pattern, host string) bool {
	if pattern == host {
		return true
	}
	pattern, patternPort := splitPort(pattern)
	host, port := splitPort(host)
	globs, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	address := strings.Contains(pattern, ":") // IPv6, in which brackets are not a glob
	if patternPort != port || len(globs) != len(labels) || address {
		return false
	}
	for i, glob := range globs {
		if ok, err := path.Match(glob, labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// splitPort splits host:port. A colon within brackets belongs to the host.
func splitPort(hostport string) (host, port string) {
	i := strings.LastIndexByte(hostport, ':')
	if i < 0 || strings.HasSuffix(hostport, "]") {
		return hostport, ""
	}
	return hostport[:i], hostport[i+1:]
}
