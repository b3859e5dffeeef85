package image

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"
)

// answer is what a name stood for, for those with certain credentials.
type answer struct {
	at      string // key of the facts
	problem *Error // nil: there are facts
	since   time.Time
}

// newSecret is a key that lives as long as the process.
func newSecret() []byte {
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails
	return secret
}

// answerKey is the same for the same image, asked at the same hosts with the
// same credentials in the same order. No credential can be read from it.
func (r *Registries) answerKey(ref reference, tries []try) string {
	mac := hmac.New(sha256.New, r.secret)
	for _, t := range tries {
		fmt.Fprintf(mac, "%q %q %q\n", t.ref.Name(), t.key.user, t.key.password)
	}
	return fmt.Sprintf("%s %x", ref.Name(), mac.Sum(nil))
}

// recall is an answer that is not too old, and whether there is one.
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

// remember keeps how a lookup ended. Facts are kept when they are found.
func (r *Registries) remember(key, at string, problem *Error) {
	if problem != nil && problem.Kind == Timeout {
		return // that is about the time a caller had
	}
	r.answers.put(key, answer{at: at, problem: problem, since: r.now()}, 256+len(key)+len(at))
}

// about is a failure as the answer to one question, nil when there is none:
// another pod's may write the image in another way, and name other secrets.
func (e *Error) about(image string, tries []try) error {
	if e == nil {
		return nil
	}
	told := *e
	told.Image = image
	for _, t := range tries {
		if t.host == e.Registry {
			told.Tried = append(told.Tried, t.key.name())
		}
	}
	return &told
}

// name is where a key comes from, for messages.
func (k Key) name() string {
	if k.label == "" {
		return "none"
	}
	return k.label
}

// failure is a failed request as an Error.
func failure(host string, err error) *Error {
	kind, cause := classify(err)
	return &Error{Kind: kind, Registry: host, Cause: cause, err: err}
}
