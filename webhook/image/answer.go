package image

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"
)

// answer is the outcome of an earlier lookup of a name with certain credentials.
type answer struct {
	at      string // key of the facts
	problem *Error // nil: there are facts
	since   time.Time
}

// newSecret returns a random key for the lifetime of the process.
func newSecret() []byte {
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails
	return secret
}

// answerKey returns a key that is equal for the same image, requested from the
// same hosts with the same credentials in the same order. The key does not reveal
// the credentials.
func (r *Registries) answerKey(ref reference, tries []try) string {
	mac := hmac.New(sha256.New, r.secret)
	for _, t := range tries {
		fmt.Fprintf(mac, "%q %q %q\n", t.ref.Name(), t.key.user, t.key.password)
	}
	return fmt.Sprintf("%s %x", ref.Name(), mac.Sum(nil))
}

// recall returns an answer that is recent enough, and whether there is one.
func (r *Registries) recall(key string, fresh bool) (Facts, *Error, bool) {
	a, ok := r.answers.get(key)
	if !ok {
		return Facts{}, nil, false
	}
	oldest := answerAge
	switch {
	case a.problem != nil:
		oldest = failureAge
	case fresh:
		oldest = freshAge
	}
	if r.now().Sub(a.since) >= oldest {
		return Facts{}, nil, false
	}
	if a.problem != nil {
		return Facts{}, a.problem, true
	}
	facts, ok := r.facts.get(a.at)
	return facts, nil, ok
}

// remember stores the outcome of a lookup. Facts are stored separately, when they
// are found.
func (r *Registries) remember(key, at string, problem *Error) {
	if problem != nil && problem.Kind == Timeout {
		return // a timeout says more about the caller's deadline than about the image
	}
	r.answers.put(key, answer{at: at, problem: problem, since: r.now()}, 256+len(key)+len(at))
}

// about returns a failure as the answer to one query, or nil if there is none.
// The queries of two pods may write the image in different ways and use different
// secrets. open reports whether the reader may know all about the registry.
func (e *Error) about(image string, tries []try, open bool) error {
	if e == nil {
		return nil
	}
	told := *e
	told.Image, told.open = image, open
	for _, t := range tries {
		if t.host == e.Registry {
			told.Tried = append(told.Tried, t.key.name())
		}
	}
	return &told
}

// name returns the origin of a key, for messages.
func (k Key) name() string {
	if k.label == "" {
		return "none"
	}
	return k.label
}

// failure converts the error of a request to an Error.
func failure(host string, err error) *Error {
	kind, cause := classify(err)
	return &Error{Kind: kind, Registry: host, Cause: cause, err: err}
}
