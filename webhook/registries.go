package webhook

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/image"
)

// lookups are the settings of how commands are found that pods do not give.
type lookups struct {
	enabled     bool
	timeout     time.Duration // of one pod
	onError     string        // deny or skip
	pullSecrets bool          // read the pull secrets that pods name
	credentials string        // directory of a mounted pull secret, "" for none
	index       string        // directory of the mounted command index, "" for none
	caFile      string        // PEM, "" for none
	image       image.Settings
}

// What can follow when an image could not be looked up.
const (
	denyOnError = "deny"
	skipOnError = "skip"
)

// longestLookup leaves the API server, which waits ten seconds by default, time
// for the rest.
const longestLookup = 25 * time.Second

// flags adds the flags of the settings.
func (l *lookups) flags(f *flag.FlagSet) {
	f.BoolVar(&l.enabled, "lookup", true, "look up in registries what images run")
	f.DurationVar(&l.timeout, "lookup-timeout", 5*time.Second, "time for all lookups of one pod; below the timeout of the webhook configuration")
	f.StringVar(&l.onError, "on-lookup-error", denyOnError, "deny: refuse a pod that needs a lookup which fails; skip: leave it alone")
	f.BoolVar(&l.pullSecrets, "pull-secrets", true, "use the pull secrets that pods name")
	f.StringVar(&l.credentials, "registry-credentials", "", "directory of a mounted secret with "+corev1.DockerConfigJsonKey+", tried after the pod's own")
	f.StringVar(&l.index, "command-index", "", "directory of a mounted ConfigMap that says what images run")
	f.StringVar(&l.caFile, "registry-ca", "", "file of CA certificates (PEM) that registries may have besides the system's")
	f.Func("registry-allow", "registry that images may name, as HOST or HOST:PORT, labels with *; repeat it (default: any)", commaList(&l.image.Allowed))
	f.Func("registry-private", "registry that may be in a private network, as HOST or HOST:PORT, labels with *; repeat it (also: every host that another flag names)", commaList(&l.image.Private))
	f.Func("registry-plain-http", "registry without TLS, as HOST or HOST:PORT; repeat it", commaList(&l.image.PlainHTTP))
	f.Func("registry-mirror", "mirror to ask first, as HOST=MIRROR or HOST=MIRROR/PREFIX; repeat it", l.mirror)
	f.Func("platform", "platform of nodes, as linux/amd64; repeat it (default: every one an image has)", commaList(&l.image.Platforms))
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
func (l *lookups) mirror(text string) error {
	host, place, found := strings.Cut(strings.TrimSpace(text), "=")
	if !found || host == "" || place == "" {
		return errors.New("want HOST=MIRROR, as docker.io=mirror.example/hub")
	}
	if l.image.Mirrors == nil {
		l.image.Mirrors = map[string][]string{}
	}
	host = strings.ToLower(host)
	l.image.Mirrors[host] = append(l.image.Mirrors[host], place)
	return nil
}

// validate finds what is wrong with the flags.
func (l *lookups) validate() error {
	switch {
	case l.onError != denyOnError && l.onError != skipOnError:
		return fmt.Errorf("--on-lookup-error %q: one of %s, %s", l.onError, denyOnError, skipOnError)
	case l.timeout <= 0 || l.timeout > longestLookup:
		return fmt.Errorf("--lookup-timeout %s: more than 0s and at most %s", l.timeout, longestLookup)
	}
	return nil
}

// commands sets the lookups up. secrets reads the cluster's, not through a
// cache: secrets that pods do not name are none of ours.
func (l *lookups) commands(secrets client.Reader, m *metrics, log *slog.Logger) (*commands, error) {
	c := &commands{
		index:       &mountedFiles[image.Index]{dir: l.index, parse: image.ParseIndex, log: log},
		credentials: &mountedFiles[image.Keys]{dir: l.credentials, parse: parseCredentials, log: log},
		timeout:     l.timeout, metrics: m, log: log,
	}
	c.index.get() // what is wrong is told at the start
	c.credentials.get()
	if !l.enabled {
		return c, nil
	}
	if l.pullSecrets {
		c.secrets = secrets
	}
	settings := l.image
	settings.Proxy = http.ProxyFromEnvironment
	if l.caFile != "" {
		pem, err := os.ReadFile(l.caFile)
		if err != nil {
			return nil, fmt.Errorf("read --registry-ca: %w", err)
		}
		settings.CABundle = pem
	}
	registries, err := image.New(settings)
	if err != nil {
		return nil, fmt.Errorf("set up the lookup of images: %w", err)
	}
	c.registries = registries
	return c, nil
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
