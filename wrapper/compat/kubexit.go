package compat

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// kubexit's environment variables.
const (
	envName         = "KUBEXIT_NAME"
	envGraveyard    = "KUBEXIT_GRAVEYARD"
	envBirthDeps    = "KUBEXIT_BIRTH_DEPS"
	envDeathDeps    = "KUBEXIT_DEATH_DEPS"
	envBirthTimeout = "KUBEXIT_BIRTH_TIMEOUT"
	envGracePeriod  = "KUBEXIT_GRACE_PERIOD"
	envPodName      = "KUBEXIT_POD_NAME"
	envNamespace    = "KUBEXIT_NAMESPACE"
	envLogLevel     = "KUBEXIT_LOG_LEVEL"
	envVerboseLevel = "KUBEXIT_VERBOSE_LEVEL" // of a fork: more than 0 is verbose
)

// kubexit's defaults.
const (
	defaultGraveyard    = "/graveyard"
	defaultBirthTimeout = 30 * time.Second
	defaultGracePeriod  = 30 * time.Second
)

// atOnce stands for a grace period of nothing, as 0 is a field left out.
const atOnce = time.Millisecond

// Kubexit is what a container's kubexit variables say.
type Kubexit struct {
	// Spec: birth dependencies are start dependencies that have to be ready,
	// death dependencies stop dependencies that have to have exited. Its stop
	// dependencies are names of tombstones, which need not be containers.
	Spec spec.Spec

	Dir       string // the graveyard, clean
	Name      string // the own tombstone's file name in it, and the container's where it has birth dependencies
	Pod       string // "" only without birth dependencies
	Namespace string // likewise
}

// KubexitCommand splits kubexit's command line, which is the command and its
// arguments and has no options. Instead of them -version asks for the version.
func KubexitCommand(args []string) (argv []string, version bool) {
	if versionOnly(args) {
		return nil, true
	}
	return args, false
}

// ParseKubexit reads kubexit's variables. The error is a spec.Problems with
// everything that is wrong, each under its variable; the rest is then what could
// be read.
func ParseKubexit(getenv func(string) string) (Kubexit, error) {
	p := kubexitParser{getenv: getenv}
	k := Kubexit{Spec: spec.Default(), Name: p.name(), Dir: p.dir()}
	k.Spec.Container = k.Name
	for _, name := range p.names(envBirthDeps, k.Name) {
		if !spec.IsName(name) {
			p.add(envBirthDeps, "%q is no container name: a name has lower-case letters, digits and - only", name)
		}
		k.Spec.StartDeps = append(k.Spec.StartDeps, spec.Dependency{Container: name, Condition: spec.Ready})
	}
	for _, name := range p.names(envDeathDeps, k.Name) {
		if !isFileName(name) {
			p.add(envDeathDeps, "%q is no file name in the graveyard: give the %s of another container", name, envName)
		}
		k.Spec.StopDeps = append(k.Spec.StopDeps, spec.Dependency{Container: name, Condition: spec.Exited})
	}
	if waits := len(k.Spec.StartDeps) > 0; waits {
		k.Spec.StartTimeout = p.duration(envBirthTimeout, defaultBirthTimeout, time.Nanosecond)
		k.Pod, k.Namespace = p.field(envPodName, "name"), p.field(envNamespace, "namespace")
	} else {
		k.Pod, k.Namespace = getenv(envPodName), getenv(envNamespace)
	}
	k.Spec.StopTimeout = max(atOnce, p.duration(envGracePeriod, defaultGracePeriod, 0))
	k.Spec.LogLevel = kubexitLevel(getenv)
	if len(p.problems) > 0 {
		return k, p.problems
	}
	return k, nil
}

// kubexitParser collects what is wrong.
type kubexitParser struct {
	getenv   func(string) string
	problems spec.Problems
}

func (p *kubexitParser) add(variable, format string, args ...any) {
	p.problems = append(p.problems, spec.Problem{Field: variable, Text: fmt.Sprintf(format, args...)})
}

func (p *kubexitParser) name() string {
	name := p.getenv(envName)
	switch {
	case name == "":
		p.add(envName, "missing: set it to the container's name")
	case !isFileName(name):
		p.add(envName, "%q is no file name: the tombstone has this name in the graveyard, so set it to the container's name", name)
	}
	return name
}

// dir is the graveyard. A relative one is taken as kubexit takes it: from the
// working directory.
func (p *kubexitParser) dir() string {
	dir := p.getenv(envGraveyard)
	if dir == "" {
		return defaultGraveyard
	}
	if strings.ContainsRune(dir, 0) {
		p.add(envGraveyard, "%q is no path: set it to the directory that the containers share, as %s", dir, defaultGraveyard)
	}
	return filepath.Clean(dir)
}

// names reads a comma-separated list: without blanks around the names, without
// repetitions and without the nothing behind a last comma.
func (p *kubexitParser) names(variable, own string) []string {
	text := p.getenv(variable)
	var names []string
	for part := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(part)
		switch {
		case name == "" || slices.Contains(names, name):
		case name == own:
			p.add(variable, "container %q cannot depend on itself: remove it", name)
		default:
			names = append(names, name)
		}
	}
	if text != "" && strings.Trim(text, ", \t\n") == "" {
		p.add(variable, "%q names nothing: name containers, as \"proxy,cache\", or remove the variable", text)
	}
	return names
}

// duration reads a Go duration of at least least.
func (p *kubexitParser) duration(variable string, fallback, least time.Duration) time.Duration {
	text := p.getenv(variable)
	if text == "" {
		return fallback
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		p.add(variable, "%q is not a duration: write a number and a unit, as 30s or 2m", text)
	case d < least:
		p.add(variable, "%q is too short: give it some time, as %s", text, fallback)
	default:
		return d
	}
	return fallback
}

// field reads what the downward API gives: birth dependencies are looked up in
// the own pod.
func (p *kubexitParser) field(variable, field string) string {
	value := p.getenv(variable)
	if value == "" {
		p.add(variable, "missing, and %s needs it: set it from fieldRef metadata.%s", envBirthDeps, field)
	}
	return value
}

// isFileName tells whether s is the name of one file, not a path.
func isFileName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/\x00")
}

// kubexitLevel is the level that kubexit's own comes closest to. As there, one
// that is not known is info.
func kubexitLevel(getenv func(string) string) string {
	if n, err := strconv.Atoi(getenv(envVerboseLevel)); err == nil && n > 0 {
		return "debug"
	}
	return level(getenv(envLogLevel))
}

// level maps the level names of other programs to ours.
func level(name string) string {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return "debug"
	case "warn", "warning", "error", "dpanic", "panic", "fatal", "off":
		return "error"
	default:
		return spec.DefaultLogLevel
	}
}
