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

// watcher is the state of a watch. Only the goroutine of run accesses it.
type watcher struct {
	config    podstatus.Config
	log       *slog.Logger
	pace      pace
	transport *http.Transport // nil before the first request, and after the CA has turned out to be wrong

	version string // resourceVersion to continue from; "": list first
	uid     string // of the pod that was seen first
	known   facts
	sent    podstatus.Snapshot
	told    string // the last log message about a missing pod; "": the pod exists

	trouble trouble
}

// newWatcher returns a new watcher.
func newWatcher(c podstatus.Config, log *slog.Logger) *watcher {
	return &watcher{config: c, log: log.With("pod", c.Namespace+"/"+c.Pod), pace: defaultPace()}
}

// run lists and watches in rounds until ctx ends. A pause follows each round,
// so that no server can cause a busy loop.
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

// round lists if necessary and watches until the watch ends. The error is nil
// if the watch lasted long enough for its end to be normal.
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

// list reads the present state of the pod. The API server serves the field
// selector on the name from a single key of its store, and it requires no get
// permission.
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

// follow watches from w.version until the watch ends.
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
		w.version = "" // no event at all in that time, not even a bookmark: do not trust the version
	}
	w.log.Debug("pod watch ended", "lived", lived, "err", err)
	return nil
}

// read handles the events of one watch. It returns the error that ended the
// watch, which is io.EOF for a regular end.
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

// take derives the facts from a state of the pod, and sends them if they are
// new.
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

// tell logs, once, that the pod is gone. Usually the wrapper is about to be
// stopped; otherwise the watch sees the pod again.
func (w *watcher) tell(what string) {
	if w.told != what {
		w.told = what
		level := slog.LevelInfo
		if w.uid == "" {
			level = slog.LevelError // it never existed
		}
		w.log.Log(context.Background(), level, what, "uid", w.uid)
	}
}
