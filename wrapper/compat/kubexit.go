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
	envVerboseLevel = "KUBEXIT_VERBOSE_LEVEL" // from a fork: a value above 0 means verbose
)

// kubexit's defaults.
const (
	defaultGraveyard    = "/graveyard"
	defaultBirthTimeout = 30 * time.Second
	defaultGracePeriod  = 30 * time.Second
)

// atOnce stands for a grace period of zero, because 0 means that the field is
// not set.
const atOnce = time.Millisecond

// Kubexit contains a container's kubexit settings.
type Kubexit struct {
	// Spec contains birth dependencies as start dependencies with the condition
	// ready, and death dependencies as stop dependencies with the condition
	// exited. Its stop dependencies are names of tombstones, which need not be
	// containers.
	Spec spec.Spec

	Dir       string // the graveyard, clean
	Name      string // the file name of the container's tombstone in it, and the container's name if it has birth dependencies
	Pod       string // "" only without birth dependencies
	Namespace string // likewise
}

// KubexitCommand splits kubexit's command line, which consists of the command
// and its arguments and has no options. A single -version requests the version
// instead.
func KubexitCommand(args []string) (argv []string, version bool) {
	if versionOnly(args) {
		return nil, true
	}
	return args, false
}

// ParseKubexit parses kubexit's variables. The error is a spec.Problems that
// lists every problem with its variable. With an error, the result contains
// what could be parsed.
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

// kubexitParser collects the problems.
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

// dir returns the graveyard. Like in kubexit, a relative path is relative to
// the working directory.
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

// names parses a comma-separated list. It removes blanks around names,
// repetitions, and an empty item after a final comma.
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

// duration parses a Go duration of at least least.
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

// field returns a value from the downward API. It is required, because birth
// dependencies are looked up in the container's own pod.
func (p *kubexitParser) field(variable, field string) string {
	value := p.getenv(variable)
	if value == "" {
		p.add(variable, "missing, and %s needs it: set it from fieldRef metadata.%s", envBirthDeps, field)
	}
	return value
}

// isFileName reports whether s is the name of a single file, not a path.
func isFileName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/\x00")
}

// kubexitLevel returns the log level that is closest to kubexit's. As in
// kubexit, an unknown level means info.
func kubexitLevel(getenv func(string) string) string {
	if n, err := strconv.Atoi(getenv(envVerboseLevel)); err == nil && n > 0 {
		return "debug"
	}
	return level(getenv(envLogLevel))
}

// level maps the level names of other programs to koordinator's.
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
