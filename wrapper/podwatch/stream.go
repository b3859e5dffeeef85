package podwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxObject limits the size of an event and of the answer to a list, in bytes.
// A pod has at most 1.5 MiB, the limit of etcd's requests.
const maxObject = 4 << 20

// event is one event of a watch.
type event struct {
	Type   string `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	Object pod    `json:"object"`
}

// stream decodes the events of a watch.
type stream struct {
	dec  *json.Decoder
	read *limit
}

// newStream returns a stream of the events of a watch, or the answer to a list,
// in body.
func newStream(body io.Reader) *stream {
	l := &limit{from: body, most: maxObject}
	return &stream{dec: json.NewDecoder(l), read: l}
}

// decode decodes one JSON document into v.
func (s *stream) decode(v any) error {
	s.read.left = s.read.most
	return s.dec.Decode(v)
}

// next returns the next event. The error is io.EOF after a complete event,
// otherwise the cause of the failure. After an error nothing more can be read.
func (s *stream) next() (event, error) {
	var e event
	if err := s.decode(&e); err != nil {
		if errors.Is(err, io.EOF) {
			return event{}, io.EOF
		}
		return event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// readList decodes the answer to a list.
func readList(body io.Reader) (podList, error) {
	var list podList
	if err := newStream(body).decode(&list); err != nil {
		return podList{}, fmt.Errorf("read answer: %w", err)
	}
	if list.Metadata.ResourceVersion == "" {
		return podList{}, errors.New("read answer: no list of pods: is this the API server?")
	}
	_, _ = io.CopyN(io.Discard, body, 512) // to its end, so that the watch can reuse the connection
	return list, nil
}

// limit is a reader that fails after left bytes have been read. Each decode
// resets left to most.
type limit struct {
	from       io.Reader
	left, most int
}

// Read reads from the body until the limit is reached.
func (l *limit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("larger than %d bytes", l.most)
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
