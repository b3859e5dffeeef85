package history

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Log parses the log of one incarnation of a container. The log has lines of the wrapper
// and of the command. Each line begins with the time at which the kubelet received it,
// which the API adds if timestamps are requested.
func Log(container string, run int, text []byte) []Event {
	var all []Event
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if e, ok := line(lines.Text()); ok {
			e.Container, e.Run = container, run
			all = append(all, e)
		}
	}
	return all
}

// OfWrapper reports whether a log line, without the kubelet's time, reports an event of the wrapper.
func OfWrapper(text string) bool {
	fields := attributes(text)
	return fields["from"] == "koordinator" && fields["event"] != ""
}

// line parses one line. ok is false if the line has no time.
func line(text string) (Event, bool) {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		at, rest = time.Time{}, text
	}
	if !OfWrapper(rest) {
		return Event{At: at, Kind: Output, Text: rest}, !at.IsZero()
	}
	fields := attributes(rest)
	if own, err := time.Parse(time.RFC3339Nano, fields["time"]); err == nil {
		at = own
	}
	return decision(at, fields), !at.IsZero()
}

// decision returns the event that a line of the wrapper reports.
func decision(at time.Time, fields map[string]string) Event {
	e := Event{At: at, Kind: Kind(fields["event"]), Signal: fields["signal"], Reason: fields["reason"], Text: fields["msg"]}
	if e.Signal == "" {
		e.Signal = fields["request"]
	}
	if e.Kind == NotReady {
		e.Reason = fields["error"]
	}
	switch e.Kind {
	case Waiting:
		e.For = split(fields["for"], ", ")
	case Started:
		e.For = split(fields["waitedFor"], ", ")
	case Held:
		e.For = split(fields["for"], ",")
	default: // this event has no container to wait for
	}
	e.StoppedBy = split(fields["stoppedBy"], ",")
	e.ExitCode, _ = strconv.Atoi(fields["exitCode"]) // 0 if there is none
	return e
}

func split(text, by string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, by)
}

// attributes parses a line of key=value pairs. Values are quoted as in Go where necessary.
// For a line of another form, it returns the pairs that it understands.
func attributes(text string) map[string]string {
	all := map[string]string{}
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		if !found || strings.ContainsAny(key, " \"") {
			return all
		}
		var value string
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && strings.HasPrefix(rest, `"`) {
			value, _ = strconv.Unquote(quoted) // no error: QuotedPrefix has checked the quotes
			rest = strings.TrimPrefix(rest[len(quoted):], " ")
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		all[key], text = value, rest
	}
	return all
}
