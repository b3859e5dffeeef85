// Package image turns the name of an image and credentials into what the image
// runs: its ENTRYPOINT, CMD, STOPSIGNAL, USER and PATH, for every platform it is
// built for. It asks registries on behalf of whoever creates a pod, with the
// credentials of that pod, and tells nobody what those could not read.
package image

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
)

// How long answers may be used again.
const (
	freshAge    = 5 * time.Second  // with the pull policy Always
	answerAge   = 5 * time.Minute  // otherwise
	failureAge  = 10 * time.Second // a failure that is no timeout
	maxLookup   = 30 * time.Second // the longest the API server waits for a webhook
	factsMemory = 8 << 20          // bytes of what images say, some thousand images
	namesMemory = 8 << 20          // bytes of what names stand for
)

// Settings are the operator's. None of them may come from a pod. Hosts are
// lower case, with the port where it is not the usual one.
type Settings struct {
	Platforms []string            // that nodes have, like "linux/amd64"; none: every Linux platform an image has
	Keys      Keys                // tried after the pod's own. Whoever may create a pod learns what images they read run
	Allowed   []string            // registries that images may name, each label may be a glob; none: any
	Mirrors   map[string][]string // host, "docker.io" too → HOST or HOST/PREFIX, asked before it in that order
	PlainHTTP []string            // hosts, of redirects too, without TLS
	Loopback  []string            // HOST:PORT that may be on this machine
	Private   []string            // hosts that may be in a private network, each label may be a glob, besides those in Allowed, Mirrors and PlainHTTP
	CABundle  []byte              // PEM, trusted besides the system's

	// Proxy as in http.Transport, nil for none. Behind a proxy only addresses
	// are refused, not names that stand for them.
	Proxy func(*http.Request) (*url.URL, error)
}

// Registries looks images up. It is safe for concurrent use.
type Registries struct {
	settings  Settings
	mirrors   map[string][]mirror // by host
	transport http.RoundTripper
	secret    []byte // keeps passwords from being guessed from the keys of answers
	now       func() time.Time
	heavy     chan struct{} // slots of loads

	flights singleflight.Group
	facts   *lru[Facts]  // by registry/repository@digest
	answers *lru[answer] // by name and credentials
	last    *lru[string] // registry/repository:tag → key of facts it stood for; a guess, never an answer
}

// Query is a question about an image.
type Query struct {
	Image string // as it stands in the pod
	Fresh bool   // the pull policy is Always: a tag's answer is old after seconds
	Keys  Keys   // those of the pod and its service account, in order
}

// New reads the settings.
func New(s Settings) (*Registries, error) {
	s.Private = s.near()
	transport, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	if err := checkPlatforms(s.Platforms); err != nil {
		return nil, err
	}
	mirrors, err := parseMirrors(s)
	if err != nil {
		return nil, err
	}
	return &Registries{
		settings:  s,
		mirrors:   mirrors,
		transport: transport,
		secret:    newSecret(),
		now:       time.Now,
		heavy:     make(chan struct{}, heavyAtOnce),
		facts:     newLRU[Facts](factsMemory),
		answers:   newLRU[answer](namesMemory),
		last:      newLRU[string](namesMemory),
	}, nil
}

// near are the hosts that the operator has named in any setting: those may be in
// a private network.
func (s Settings) near() []string {
	hosts := slices.Concat(s.Private, s.Allowed, s.PlainHTTP)
	for host, places := range s.Mirrors {
		hosts = append(hosts, host)
		for _, place := range places {
			host, _ := splitPlace(place)
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Look finds out what an image runs. It returns when the context ends, at the
// latest. Its requests end with the context's deadline; where the context was
// cancelled before, they go on until then, as others may wait for the answer.
// Errors are of type *Error.
func (r *Registries) Look(ctx context.Context, q Query) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLookup)
	defer cancel()
	ref, err := parseReference(q.Image, r.settings.PlainHTTP)
	if err != nil {
		return Facts{}, &Error{Kind: BadReference, Image: q.Image, Cause: err.Error()}
	}
	if !r.allowed(ref.host) {
		return Facts{}, &Error{Kind: Forbidden, Image: q.Image, Registry: ref.host, Cause: "the operator of koordinator has not listed this registry"}
	}
	tries := r.tries(ref, slices.Concat(q.Keys, r.settings.Keys))
	key := r.answerKey(ref, tries)
	if facts, problem, ok := r.recall(key, q.Fresh); ok {
		facts.Cached = true
		return facts, problem.about(q.Image, tries)
	}
	facts, problem := r.share(ctx, key, ref.host, tries)
	return facts, problem.about(q.Image, tries)
}

// allowed reports whether images may name a registry.
func (r *Registries) allowed(host string) bool {
	return len(r.settings.Allowed) == 0 ||
		slices.ContainsFunc(r.settings.Allowed, func(pattern string) bool { return matchHost(pattern, host) })
}

// share does a lookup once for all that ask the same with the same credentials
// at the same time. The one that asked first sets the deadline; where others
// have longer, they ask again.
func (r *Registries) share(ctx context.Context, key, host string, tries []try) (Facts, *Error) {
	deadline, _ := ctx.Deadline()
	for {
		landing := r.flights.DoChan(key, func() (any, error) { return r.fly(ctx, deadline, key, host, tries), nil })
		select {
		case <-ctx.Done():
			return Facts{}, failure(host, ctx.Err())
		case result := <-landing:
			landed := result.Val.(flight)
			if landed.deadline.Before(deadline) && landed.problem != nil && landed.problem.Kind == Timeout {
				continue
			}
			return landed.facts, landed.problem
		}
	}
}

// flight is how a lookup ended.
type flight struct {
	facts    Facts
	problem  *Error
	deadline time.Time // it had until then
}

// fly looks up and remembers. It goes on when the one that asked first has
// gone, since others may wait, but not past the deadline.
func (r *Registries) fly(ctx context.Context, deadline time.Time, key, host string, tries []try) (f flight) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	l := &load{slots: r.heavy}
	defer l.release()
	ctx = context.WithValue(ctx, loadKey{}, l)
	f.deadline = deadline
	var at string
	f.problem = contained(host, func() (problem *Error) {
		at, f.facts, problem = r.find(ctx, tries)
		return problem
	})
	r.remember(key, at, f.problem)
	return f
}

// contained turns a panic into an error. A panic in a goroutine would end the
// webhook, and what is read here was written by strangers.
func contained(host string, do func() *Error) (problem *Error) {
	defer func() {
		if p := recover(); p != nil {
			problem = failure(host, problemf(Invalid, "its answer cannot be read"))
		}
	}()
	return do()
}
