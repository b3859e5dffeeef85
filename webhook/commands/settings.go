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

// Settings say where to look for the commands that pods do not give.
type Settings struct {
	Lookup      bool          // at the registries of images
	Timeout     time.Duration // of all lookups of one pod
	PullSecrets bool          // read the pull secrets that pods name
	Credentials string        // directory of a mounted pull secret; "": none
	Index       string        // directory of the mounted command index; "": none
	CAFile      string        // of PEM certificates; "": none
	Image       image.Settings
}

// longestLookup leaves the API server, which waits ten seconds by default, time
// for the rest.
const longestLookup = 25 * time.Second

// Flags adds the flags of the settings.
func (s *Settings) Flags(f *flag.FlagSet) {
	f.BoolVar(&s.Lookup, "lookup", true, "look up in registries what images run")
	f.DurationVar(&s.Timeout, "lookup-timeout", 5*time.Second, "time for all lookups of one pod; below the timeout of the webhook configuration")
	f.BoolVar(&s.PullSecrets, "pull-secrets", true, "use the pull secrets that pods name")
	f.StringVar(&s.Credentials, "registry-credentials", "", "directory of a mounted secret with "+corev1.DockerConfigJsonKey+", tried after the pod's own")
	f.StringVar(&s.Index, "command-index", "", "directory of a mounted ConfigMap that says what images run")
	f.StringVar(&s.CAFile, "registry-ca", "", "file of CA certificates (PEM) that registries may have besides the system's")
	f.Func("registry-allow", "registry that images may name, as HOST or HOST:PORT, labels with *; repeat it (default: any)", commaList(&s.Image.Allowed))
	f.Func("registry-private", "registry that may be in a private network, as HOST or HOST:PORT, labels with *; repeat it (also: every host that another flag names)", commaList(&s.Image.Private))
	f.Func("registry-plain-http", "registry without TLS, as HOST or HOST:PORT; repeat it", commaList(&s.Image.PlainHTTP))
	f.Func("registry-mirror", "mirror to ask first, as HOST=MIRROR or HOST=MIRROR/PREFIX; repeat it", s.mirror)
	f.Func("platform", "platform of nodes, as linux/amd64; repeat it (default: every one an image has)", commaList(&s.Image.Platforms))
}

// commaList adds the words of a flag, with commas between them, to a list.
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

// mirror reads one --registry-mirror.
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

// Validate finds what is wrong with the flags.
func (s *Settings) Validate() error {
	if s.Timeout <= 0 || s.Timeout > longestLookup {
		return fmt.Errorf("--lookup-timeout %s: more than 0s and at most %s", s.Timeout, longestLookup)
	}
	return nil
}

// New sets up a Finder and registers its metrics. secrets must not be cached, so
// that only secrets that pods name are read.
func New(s Settings, secrets client.Reader, registry prometheus.Registerer, log *slog.Logger) (*Finder, error) {
	f := &Finder{
		index:       &mountedFiles[image.Index]{dir: s.Index, parse: image.ParseIndex, log: log},
		credentials: &mountedFiles[image.Keys]{dir: s.Credentials, parse: parseCredentials, log: log},
		timeout:     s.Timeout, metrics: newMetrics(registry), log: log,
	}
	f.index.get() // what is wrong is told at the start
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

// parseCredentials reads the operator's pull secret.
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
