package commands

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/image"
)

// Settings specify where to look for commands that pods do not set.
type Settings struct {
	Lookup      bool          // in the registries of images
	Timeout     time.Duration // of all lookups of one pod
	PullSecrets bool          // whether to read the pull secrets of pods
	Credentials string        // directory of a mounted pull secret; "": none
	Index       string        // directory of the mounted command index; "": none
	CAFile      string        // of PEM certificates; "": none
	Image       image.Settings

	Known image.Index // used if Index is ""
	Keys  image.Keys  // used if Credentials is ""
}

// longestLookup leaves time for the rest of the request within the 30 seconds
// that the API server waits at most.
const longestLookup = 25 * time.Second

// Flags adds the flags of the settings.
func (s *Settings) Flags(f *flag.FlagSet) {
	f.BoolVar(&s.Lookup, "lookup", true, "look up the commands of images in registries")
	f.DurationVar(&s.Timeout, "lookup-timeout", 5*time.Second, "timeout for all lookups of one pod, at most nine tenths of the timeout of the webhook configuration")
	f.BoolVar(&s.PullSecrets, "pull-secrets", true, "use the pull secrets of pods")
	f.StringVar(&s.Credentials, "registry-credentials", "", "directory of a mounted Secret with "+corev1.DockerConfigJsonKey+", used after the pull secrets of the pod")
	f.StringVar(&s.Index, "command-index", "", "directory of a mounted ConfigMap with the commands of images")
	f.StringVar(&s.CAFile, "registry-ca", "", "file with CA certificates (PEM) that are trusted for registries, in addition to those of the system")
	f.Func("registry-allow", "registry that the webhook may contact: HOST or HOST:PORT, with * for one label of the name; can be repeated (default: all registries)", commaList(&s.Image.Allowed))
	f.Func("registry-private", "registry that may be in a private network, in addition to the hosts in other flags: HOST or HOST:PORT, with * for one label of the name; can be repeated", commaList(&s.Image.Private))
	f.Func("registry-plain-http", "registry without TLS: HOST or HOST:PORT; can be repeated", commaList(&s.Image.PlainHTTP))
	f.Func("registry-mirror", "mirror to try first: HOST=MIRROR or HOST=MIRROR/PREFIX; can be repeated", s.mirror)
	f.Func("platform", "platform of nodes, for example linux/amd64; can be repeated (default: all platforms of an image)", commaList(&s.Image.Platforms))
}

// commaList returns a function that adds the comma-separated words of a flag to a
// list.
func commaList(to *[]string) func(string) error {
	return func(text string) error {
		for w := range strings.SplitSeq(text, ",") {
			if w = strings.ToLower(strings.TrimSpace(w)); w != "" {
				*to = append(*to, w)
			}
		}
		return nil
	}
}

// mirror parses one --registry-mirror.
func (s *Settings) mirror(text string) error {
	host, place, found := strings.Cut(strings.TrimSpace(text), "=")
	if !found || host == "" || place == "" {
		return errors.New("want HOST=MIRROR, as docker.io=mirror.example/hub")
	}
	if s.Image.Mirrors == nil {
		s.Image.Mirrors = map[string][]string{}
	}
	host = strings.ToLower(host)
	s.Image.Mirrors[host] = append(s.Image.Mirrors[host], place)
	return nil
}

// Validate reports invalid flags.
func (s *Settings) Validate() error {
	if s.Timeout <= 0 || s.Timeout > longestLookup {
		return fmt.Errorf("--lookup-timeout %s: more than 0s and at most %s", s.Timeout, longestLookup)
	}
	return nil
}

// New sets up a Finder and registers its metrics. secrets must not be cached, so
// that the webhook reads only secrets that pods name.
func New(s Settings, secrets client.Reader, registry prometheus.Registerer, log *slog.Logger) (*Finder, error) {
	f := &Finder{
		index:       &mountedFiles[image.Index]{dir: s.Index, parse: image.ParseIndex, log: log, value: s.Known},
		credentials: &mountedFiles[image.Keys]{dir: s.Credentials, parse: parseCredentials, log: log, value: s.Keys},
		timeout:     s.Timeout, metrics: newMetrics(registry), log: log,
	}
	f.index.get() // log invalid files at startup
	f.credentials.get()
	if !s.Lookup {
		return f, nil
	}
	if s.PullSecrets {
		f.secrets = secrets
	}
	settings := s.Image
	settings.Proxy = http.ProxyFromEnvironment
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read --registry-ca: %w", err)
		}
		settings.CABundle = pem
	}
	registries, err := image.New(settings)
	if err != nil {
		return nil, fmt.Errorf("set up the lookup of images: %w", err)
	}
	f.registries = registries
	return f, nil
}

// parseCredentials parses the operator's pull secret.
func parseCredentials(files map[string]string) (image.Keys, []error) {
	var keys image.Keys
	var problems []error
	for name, text := range files {
		more, err := image.ParseConfig("the operator's "+name, []byte(text))
		if err != nil {
			problems = append(problems, err)
		}
		keys = append(keys, more...)
	}
	return keys, problems
}
