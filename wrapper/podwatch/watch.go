package podwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
)

// watcher owns everything a watch knows. Only the goroutine of run touches it.
type watcher struct {
	config    podstatus.Config
	log       *slog.Logger
	pace      pace
	transport *http.Transport // nil before the first request, and after the CA was found wrong

	version string // resourceVersion to go on from; "": list first
	uid     string // of the pod seen first: ours
	known   facts
	sent    podstatus.Snapshot
	told    string // what was said last about a pod that is gone; "": it is there

	trouble trouble
}

// newWatcher is a watcher that has done nothing yet.
func newWatcher(c podstatus.Config, log *slog.Logger) *watcher {
	return &watcher{config: c, log: log.With("pod", c.Namespace+"/"+c.Pod), pace: defaultPace()}
}

// run lists and watches in rounds until ctx ends. Every round is followed by a
// pause, so that no answer of any server makes it spin.
func (w *watcher) run(ctx context.Context, facts chan<- podstatus.Snapshot) {
	defer w.disconnect()
	for ctx.Err() == nil {
		err := w.round(ctx, facts)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.trouble.note(err)
			w.report(err)
		}
		pause(ctx, w.pace.delay(w.trouble.failures, err))
	}
}

// round lists if need be and watches until the watch ends. An error is nil when
// the watch lived long enough for its end to be nothing special.
func (w *watcher) round(ctx context.Context, facts chan<- podstatus.Snapshot) error {
	if w.version == "" {
		if err := w.list(ctx, facts); err != nil {
			return fmt.Errorf("list pod: %w", err)
		}
	}
	if err := w.follow(ctx, facts); err != nil {
		return fmt.Errorf("watch pod: %w", err)
	}
	return nil
}

// list reads the pod as it is now. The selector on the name is served by one
// key of the store, and needs no permission to get.
func (w *watcher) list(ctx context.Context, facts chan<- podstatus.Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, w.pace.list)
	defer cancel()
	body, err := w.get(ctx, url.Values{"fieldSelector": {"metadata.name=" + w.config.Pod}})
	if err != nil {
		return err
	}
	defer body.Close()
	list, err := readList(body)
	if err != nil {
		return err
	}
	found := false
	for i := range list.Items {
		if p := &list.Items[i]; p.Metadata.Name == w.config.Pod {
			found = true
			w.take(p, facts)
		}
	}
	if !found {
		w.tell("pod not found: is it deleted, or its name or namespace given wrong?")
	}
	w.version = list.Metadata.ResourceVersion
	w.resumed()
	return nil
}

// follow watches from w.version until the stream ends.
func (w *watcher) follow(ctx context.Context, facts chan<- podstatus.Snapshot) error {
	limit := w.pace.watch + rand.N(w.pace.watch)
	ctx, cancel := context.WithTimeout(ctx, limit+w.pace.slack)
	defer cancel()
	body, err := w.get(ctx, url.Values{
		"fieldSelector":       {"metadata.name=" + w.config.Pod},
		"watch":               {"1"},
		"allowWatchBookmarks": {"true"},
		"resourceVersion":     {w.version},
		"timeoutSeconds":      {strconv.Itoa(max(1, int(limit.Seconds())))},
	})
	if err != nil {
		if a, ok := errors.AsType[*answer](err); ok && a.refusesVersion() {
			w.version = ""
		}
		return err
	}
	defer body.Close()
	began := time.Now()
	heard, err := w.read(newStream(body), facts)
	lived := time.Since(began)
	if lived < w.pace.healthy {
		return fmt.Errorf("after %s: %w", lived.Round(time.Millisecond), err)
	}
	w.resumed()
	w.trouble = trouble{}
	if errors.Is(err, io.EOF) && !heard {
		w.version = "" // not even a bookmark in all that time: do not trust it
	}
	w.log.Debug("pod watch ended", "lived", lived, "err", err)
	return nil
}

// read takes the events of one watch. It returns the error that ended it,
// io.EOF for an end in order.
func (w *watcher) read(s *stream, facts chan<- podstatus.Snapshot) (heard bool, err error) {
	for {
		e, err := s.next()
		if err != nil {
			return heard, err
		}
		heard = true
		if e.Type == "ERROR" {
			w.version = ""
			return heard, &answer{code: e.Object.Code, message: e.Object.Message}
		}
		w.resumed()
		switch e.Type {
		case "ADDED", "MODIFIED", "DELETED":
			w.take(&e.Object, facts)
			if e.Type == "DELETED" {
				w.tell("pod deleted")
			}
		}
		if v := e.Object.Metadata.ResourceVersion; v != "" {
			w.version = v
		}
	}
}

// take turns a state of the pod into facts, and hands them on if they are new.
func (w *watcher) take(p *pod, facts chan<- podstatus.Snapshot) {
	if p.Metadata.Name != w.config.Pod {
		return
	}
	if w.uid == "" {
		w.uid = p.Metadata.UID
	}
	if p.Metadata.UID != w.uid {
		w.tell("pod replaced by another of its name")
		return
	}
	w.told = ""
	w.known = w.known.observe(p)
	if s := w.known.snapshot(); !maps.Equal(s, w.sent) {
		w.sent = maps.Clone(s)
		facts <- s
	}
}

// tell says once that the pod is gone. The wrapper is about to be stopped then,
// and if not the watch sees the pod come back.
func (w *watcher) tell(what string) {
	if w.told != what {
		w.told = what
		level := slog.LevelInfo
		if w.uid == "" {
			level = slog.LevelError // it was never there
		}
		w.log.Log(context.Background(), level, what, "uid", w.uid)
	}
}
