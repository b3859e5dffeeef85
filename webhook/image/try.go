package image

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// try is an image at one host with one set of credentials.
type try struct {
	ref  name.Reference
	host string // for messages
	key  Key    // the zero Key: none
}

// tries returns the attempts at an image, in order: at the mirrors of its
// registry and then at the registry itself, each with every key that matches it
// and then without one. A key is never sent to a host that it does not name.
func (r *Registries) tries(ref reference, keys Keys) []try {
	var all []try
	add := func(there name.Reference, host string) {
		repo := there.Context()
		for _, key := range append(keys.match(repo.RegistryStr(), repo.RepositoryStr()), Key{}) {
			all = append(all, try{ref: there, host: host, key: key})
		}
	}
	for _, m := range r.mirrors[ref.host] {
		add(ref.at(m), m.registry.RegistryStr())
	}
	add(ref.Reference, ref.host)
	return all
}

// find makes the attempts until one succeeds. A failure that other credentials
// may avoid (unauthorized, not found, rate limit) leads to the next credentials,
// and any other failure to the next host. The returned failure is that of the
// last host. The string is the key of the facts.
func (r *Registries) find(ctx context.Context, tries []try) (string, Facts, *Error) {
	var worst *Error
	for i := 0; i < len(tries); {
		n := i + 1
		for n < len(tries) && tries[n].ref == tries[i].ref {
			n++
		}
		var at string
		var facts Facts
		at, facts, worst = r.findAt(ctx, tries[i:n], places(tries[i:]))
		if worst == nil {
			return at, facts, nil
		}
		i = n
	}
	return "", Facts{}, worst
}

// places counts the different references in tries, each of which is one place to
// ask.
func places(tries []try) int {
	n := 0
	for i, t := range tries {
		if i == 0 || t.ref != tries[i-1].ref {
			n++
		}
	}
	return n
}

// findAt makes the attempts at one host. If other hosts follow, it takes only its
// share of the time, so that a mirror that does not answer does not use up all of
// it.
func (r *Registries) findAt(ctx context.Context, tries []try, places int) (string, Facts, *Error) {
	if deadline, ok := ctx.Deadline(); ok && places > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(places))
		defer cancel()
		ctx = share
	}
	var worst *Error
	for _, t := range tries {
		at, facts, err := r.ask(ctx, t)
		if err == nil {
			return at, facts, nil
		}
		problem := failure(t.host, err)
		if worst == nil || telling(problem.Kind) >= telling(worst.Kind) {
			worst = problem
		}
		if telling(problem.Kind) == final {
			break
		}
	}
	return "", Facts{}, worst
}

// final is the rank of a failure that other credentials would not avoid.
const final = 3

// telling ranks the failures of one host, of which only one is reported.
func telling(k Kind) int {
	switch k {
	case Unauthorized:
		return 0
	case NotFound:
		return 1
	case RateLimited:
		return 2
	default:
		return final
	}
}

// ask makes one attempt: one host with one set of credentials. Facts are stored
// by repository and digest. If they are already stored, a HEAD request proves
// that these credentials may read the image, and nothing is read again.
func (r *Registries) ask(ctx context.Context, t try) (string, Facts, error) {
	puller, err := r.puller(t.key)
	if err != nil {
		return "", Facts{}, err
	}
	ctx = withHolder(ctx, t.ref.Context().RegistryStr(), t.key)
	repo := t.ref.Context().Name()
	if r.guess(t.ref) {
		head, err := puller.Head(ctx, t.ref)
		if err == nil {
			at := repo + "@" + head.Digest.String()
			if facts, ok := r.facts.get(at); ok {
				return at, facts, nil
			}
		} else if kind, _ := classify(err); kind != Invalid {
			return "", Facts{}, err
		}
	}
	top, err := puller.Get(ctx, t.ref)
	if err != nil {
		return "", Facts{}, err
	}
	at := repo + "@" + top.Digest.String()
	facts, ok := r.facts.get(at)
	if !ok {
		if facts, err = read(ctx, puller, top, t.ref.Context(), r.settings.Platforms); err != nil {
			return "", Facts{}, err
		}
		r.facts.put(at, facts, len(at)+facts.size())
	}
	r.last.put(t.ref.Name(), at, 128+len(t.ref.Name())+len(at))
	return at, facts, nil
}

// guess reports whether the facts that a name last referred to are still stored.
func (r *Registries) guess(ref name.Reference) bool {
	at, ok := r.last.get(ref.Name())
	if !ok {
		return false
	}
	_, ok = r.facts.get(at)
	return ok
}

// puller returns a client for one set of credentials. It does not retry requests,
// because the creator of the pod tries again.
func (r *Registries) puller(key Key) (*remote.Puller, error) {
	auth := authn.Anonymous
	if key != (Key{}) {
		auth = authn.FromConfig(authn.AuthConfig{
			Username: key.user,
			Password: key.password,
			Auth:     base64.StdEncoding.EncodeToString([]byte(key.user + ":" + key.password)),
		})
	}
	return remote.NewPuller(
		remote.WithAuth(auth),
		remote.WithTransport(r.transport),
		remote.WithUserAgent("koordinator"),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	)
}
