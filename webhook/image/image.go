// Package image looks up the command of an image in its registry: its ENTRYPOINT,
// CMD, STOPSIGNAL, USER and PATH, for every platform that it is built for. It
// sends requests on behalf of the creator of a pod, with the credentials of that
// pod, and does not reveal anything that those credentials cannot read.
package image

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
)

// Limits of the age of answers, of the duration of a lookup, and of memory.
const (
	freshAge    = 5 * time.Second  // with the pull policy Always
	answerAge   = 5 * time.Minute  // otherwise
	failureAge  = 10 * time.Second // for failures other than timeouts
	maxLookup   = 30 * time.Second // the longest time that the API server waits for a webhook
	factsMemory = 8 << 20          // bytes for facts about images, several thousand images
	namesMemory = 8 << 20          // bytes for what names refer to
)

// Settings are the operator's settings. None of them may come from a pod. Hosts
// are in lower case, with the port if it is not the default.
type Settings struct {
	Platforms []string            // platforms of the nodes, for example "linux/amd64"; none: every Linux platform of an image
	Keys      Keys                // tried after the pod's own. Users who may create pods learn the commands of the images that these can read
	Allowed   []string            // registries that images may name; each label may be a glob; none: any
	Mirrors   map[string][]string // host, also "docker.io" → HOST or HOST/PREFIX, asked before the host in that order
	PlainHTTP []string            // hosts without TLS, also of redirects
	Loopback  []string            // HOST:PORT that may be on this machine
	Open      bool                // errors show why a registry cannot be reached, because their readers may know all about the network
	Private   []string            // hosts that may be in a private network, in addition to those in Allowed, Mirrors and PlainHTTP; each label may be a glob
	CABundle  []byte              // PEM, trusted in addition to the system's certificates

	// Proxy is used as in http.Transport; nil: none. With a proxy, only addresses are
	// rejected, not names that resolve to them.
	Proxy func(*http.Request) (*url.URL, error)
}

// Registries looks up images. It is safe for concurrent use.
type Registries struct {
	settings  Settings
	mirrors   map[string][]mirror // by host
	transport http.RoundTripper
	secret    []byte // prevents guessing passwords from the keys of answers
	now       func() time.Time
	heavy     chan struct{} // slots of loads

	flights singleflight.Group
	facts   *lru[Facts]  // by registry/repository@digest
	answers *lru[answer] // by name and credentials
	last    *lru[string] // registry/repository:tag → key of the facts that it last referred to; only a hint, never an answer
}

// Query is a lookup of an image.
type Query struct {
	Image string // as in the pod
	Fresh bool   // whether the pull policy is Always: answers expire after seconds
	Keys  Keys   // of the pod and its service account, in order
}

// New returns Registries with these settings.
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

// near returns the hosts that the operator has named in any setting. They may be
// in a private network.
func (s Settings) near() []string {
	hosts := slices.Concat(s.Private, s.Allowed, s.PlainHTTP)
	for _, host := range s.PlainHTTP {
		if _, _, err := net.SplitHostPort(host); err != nil { // without a port
			hosts = append(hosts, host+":80")
		}
	}
	for host, places := range s.Mirrors {
		hosts = append(hosts, host)
		for _, place := range places {
			host, _ := splitPlace(place)
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Look returns the facts about an image. It returns at the latest when the
// context ends. Its requests run until the context's deadline, even if the
// context is canceled earlier, because other callers may wait for the answer.
// Errors are of type *Error.
func (r *Registries) Look(ctx context.Context, q Query) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLookup)
	defer cancel()
	ref, err := parseReference(q.Image, r.settings.PlainHTTP)
	if err != nil {
		return Facts{}, &Error{Kind: BadReference, Image: q.Image, Cause: err.Error()}
	}
	if !r.allowed(ref.host) {
		return Facts{}, &Error{Kind: Forbidden, Image: q.Image, Registry: ref.host, Cause: "the registry is not allowed in koordinator's settings"}
	}
	tries := r.tries(ref, slices.Concat(q.Keys, r.settings.Keys))
	key := r.answerKey(ref, tries)
	if facts, problem, ok := r.recall(key, q.Fresh); ok {
		facts.Cached = true
		return facts, problem.about(q.Image, tries, r.settings.Open)
	}
	facts, problem := r.share(ctx, key, ref.host, tries)
	return facts, problem.about(q.Image, tries, r.settings.Open)
}

// allowed reports whether images may name a registry.
func (r *Registries) allowed(host string) bool {
	return len(r.settings.Allowed) == 0 ||
		slices.ContainsFunc(r.settings.Allowed, func(pattern string) bool { return matchHost(pattern, host) })
}

// share performs a lookup once for all concurrent callers with the same query and
// the same credentials. The first caller sets the deadline, and callers with a
// later deadline repeat the lookup if it times out.
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

// flight is the outcome of a lookup.
type flight struct {
	facts    Facts
	problem  *Error
	deadline time.Time // of the lookup
}

// fly performs a lookup and remembers the outcome. It continues after the first
// caller has returned, because other callers may wait, but not past the deadline.
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

// contained converts a panic to an error. A panic in a goroutine would end the
// webhook, and the answers that are parsed here come from untrusted registries.
func contained(host string, do func() *Error) (problem *Error) {
	defer func() {
		if p := recover(); p != nil {
			problem = failure(host, problemf(Invalid, "the response cannot be read"))
		}
	}()
	return do()
}
