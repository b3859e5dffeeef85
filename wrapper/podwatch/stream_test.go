package podwatch

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestStreamEndsOrBreaks(t *testing.T) {
	const most = 4 << 10
	whole := change("MODIFIED", podAt("8", running))
	tests := []struct {
		name, text string
		events     int
		want       error // nil: any other error
	}{
		{"nothing", "", 0, io.EOF},
		{"white space", " \n\t", 0, io.EOF},
		{"two events", whole + whole, 2, io.EOF},
		{"two events without a newline between", strings.TrimSpace(whole) + whole, 2, io.EOF},
		{"half an event", whole + whole[:20], 1, io.ErrUnexpectedEOF},
		{"garbage", whole + "<html>", 1, nil},
		{"a field of another type", `{"type":7}`, 0, nil},
		{"a status that is no object", `{"object":{"status":"Failure"}}`, 1, io.EOF},
		{"too large", whole + `"` + strings.Repeat("x", most) + `"`, 1, nil},
		{"many that are too large together", strings.Repeat(whole, most/len(whole)+2), most/len(whole) + 2, io.EOF},
	}
	for _, test := range tests {
		for kind, body := range map[string]io.Reader{"whole": strings.NewReader(test.text), "half by half": iotest.HalfReader(strings.NewReader(test.text))} {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				s, n := newStream(body), 0
				s.read.most = most
				_, err := s.next()
				for ; err == nil; _, err = s.next() {
					n++
				}
				if n != test.events {
					t.Errorf("%d events, want %d", n, test.events)
				}
				if test.want != nil && !errors.Is(err, test.want) || test.want == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Errorf("error = %v, want %v", err, test.want)
				}
			})
		}
	}
}

func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		change("ADDED", podAt("5", running+ready)) + change("MODIFIED", podAt("6", notStarted)),
		change("DELETED", podText("Always", "initContainers", rules, exit3, `,"deletionTimestamp":"2026-01-02T03:04:05Z"`, `,"phase":"Failed"`)),
		change("BOOKMARK", `{"kind":"Pod","metadata":{"resourceVersion":"70"}}`),
		change("ERROR", expired),
		`{"type":"MODIFIED","object":{"meta`,
		"<html>",
		change("MODIFIED", podAt("5", strings.Replace(exit3+ready, `{"term`, `{"running":{},"term`, 1))), // two states at the same time
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newStream(strings.NewReader(string(text)))
		var known facts
		for range len(text) + 1 {
			e, err := s.next()
			if err != nil {
				return
			}
			next := known.observe(&e.Object)
			for name, c := range next {
				if known[name].Started && !c.Started {
					t.Fatalf("%s: started taken back", name)
				}
				if c.Exited && c.Ready {
					t.Fatalf("%s: ready after its exit", name)
				}
				if len(c.Reason) > 310 {
					t.Fatalf("%s: reason of %d bytes", name, len(c.Reason))
				}
			}
			known = next
		}
		t.Fatal("more events than bytes")
	})
}
