package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// The limits of a gRPC call, in bytes. Everything that the server may send fits
// into the initial window of HTTP/2, so the client never enlarges a window.
const (
	maxService = 4 << 10  // of the service's name, which must fit into one frame
	maxAnswer  = 4 << 10  // of the answer's message
	maxTotal   = 64 << 10 // of everything the server sends
)

// preface is what a client sends first (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// callStream is the stream of the only call.
const callStream = 1

// checkGRPC calls grpc.health.v1.Health/Check on a new connection and succeeds
// if the answer is SERVING. It implements only the part of HTTP/2 that this
// needs, because the wrapper does not link net/http.
func checkGRPC(ctx context.Context, g spec.GRPC, podIP string) error {
	target := address("", podIP, g.Port)
	if len(g.Service) > maxService {
		return fmt.Errorf("gRPC health of %s: the service's name has more than %d bytes", target, maxService)
	}
	conn, err := dialer().DialContext(ctx, "tcp", target)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	expire := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer expire()
	if err := callHealth(conn, healthRequest(ctx, target, g.Service)); err != nil {
		return fmt.Errorf("gRPC health of %s: %w", target, err)
	}
	return nil
}

// healthRequest returns everything that the client sends: preface, settings
// (which forbid pushes), the call's header and its message.
func healthRequest(ctx context.Context, target, service string) []byte {
	var header []byte
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/grpc.health.v1.Health/Check"},
		{":authority", target},
		{"te", "trailers"},
		{"content-type", "application/grpc"},
		{"user-agent", probeAgent},
	} {
		header = appendField(header, field[0], field[1])
	}
	if end, ok := ctx.Deadline(); ok {
		left := min(max(time.Until(end).Milliseconds(), 1), 99999999) // at most eight digits are allowed
		header = appendField(header, "grpc-timeout", strconv.FormatInt(left, 10)+"m")
	}
	var message []byte // HealthCheckRequest: field 1, service
	if service != "" {
		message = binary.AppendUvarint([]byte{1<<3 | wireBytes}, uint64(len(service)))
		message = append(message, service...)
	}
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // 0: not compressed

	b := appendFrame([]byte(preface), frame{kind: kindSettings, payload: []byte{0, 2, 0, 0, 0, 0}})
	b = appendFrame(b, frame{kindHeaders, flagEndHeaders, callStream, header})
	return appendFrame(b, frame{kindData, flagEndStream, callStream, append(body, message...)})
}

// callHealth sends a request and reads until the call has ended. Nil means
// SERVING.
func callHealth(conn io.ReadWriter, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	total := &io.LimitedReader{R: conn, N: maxTotal}
	in := bufio.NewReader(total)
	c := call{out: conn}
	for {
		f, err := readFrame(in)
		switch {
		case err == nil:
		case total.N <= 0:
			return fmt.Errorf("no end after %d bytes", maxTotal)
		default:
			return c.broken(err)
		}
		ended, err := c.take(f)
		if err != nil {
			return err
		}
		if ended {
			return health(c.answer)
		}
	}
}

// call is the client's side of a call whose request has been sent.
type call struct {
	out      io.Writer
	greeted  bool   // the server's first frame has arrived, which must be settings
	answered bool   // the header of the answer has arrived
	open     bool   // a continuation frame must follow, before any other frame
	answer   []byte // the answer's data so far
}

// broken returns the meaning of a failure to read a frame.
func (c *call) broken(err error) error {
	closed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case closed && c.greeted:
		return errors.New("the server closed the connection")
	case closed: // for example, a server that expects TLS
		return errors.New("the server closed the connection without a word of HTTP/2")
	}
	return err
}

// take handles one frame from the server and reports whether the call has
// ended.
func (c *call) take(f frame) (ended bool, err error) {
	if !c.greeted && (f.kind != kindSettings || f.has(flagAck)) {
		return false, errNotHTTP2
	}
	if c.open != (f.kind == kindContinuation) {
		return false, errors.New("HTTP/2 header cut off or continued out of turn")
	}
	switch f.kind {
	case kindSettings:
		c.greeted = true
		return false, c.settings(f)
	case kindPing:
		return false, c.ping(f)
	case kindGoAway:
		return false, goAway(f)
	case kindReset:
		return false, reset(f)
	case kindPush:
		return false, errors.New("HTTP/2 push, which was forbidden")
	case kindHeaders, kindContinuation, kindData:
		return c.stream(f)
	}
	return false, nil // priority, window updates, unknown kinds
}

// stream handles a frame of the call itself. It does not decode header fields:
// every valid answer contains data.
func (c *call) stream(f frame) (ended bool, err error) {
	if f.stream != callStream {
		return false, fmt.Errorf("HTTP/2 frame for stream %d, which was not opened", f.stream)
	}
	if f.kind != kindData {
		c.answered = true
		c.open = !f.has(flagEndHeaders)
		return f.kind == kindHeaders && f.has(flagEndStream), nil
	}
	if !c.answered {
		return false, errors.New("HTTP/2 data before its header")
	}
	data, err := f.content()
	if err != nil {
		return false, err
	}
	c.answer = append(c.answer, data...)
	if len(c.answer) > maxAnswer {
		return false, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return f.has(flagEndStream), nil
}

// settings acknowledges the server's settings. None of them affects a client
// that has already sent everything.
func (c *call) settings(f frame) error {
	if f.has(flagAck) {
		return nil
	}
	if len(f.payload)%6 != 0 {
		return errors.New("HTTP/2 settings cut off")
	}
	_, err := c.out.Write(appendFrame(nil, frame{kind: kindSettings, flags: flagAck}))
	return err
}

func (c *call) ping(f frame) error {
	if f.has(flagAck) {
		return nil
	}
	if err := f.sized(8); err != nil {
		return err
	}
	_, err := c.out.Write(appendFrame(nil, frame{kind: kindPing, flags: flagAck, payload: f.payload}))
	return err
}

// goAway ends the call, unless the server announces that it will still answer
// it.
func goAway(f frame) error {
	if len(f.payload) < 8 {
		return errors.New("HTTP/2 goodbye cut off")
	}
	last := binary.BigEndian.Uint32(f.payload) &^ (1 << 31)
	if last >= callStream {
		return nil
	}
	return fmt.Errorf("the server is going away (HTTP/2 error %d)", binary.BigEndian.Uint32(f.payload[4:]))
}

func reset(f frame) error {
	if err := f.sized(4); err != nil {
		return err
	}
	return fmt.Errorf("the server reset the call (HTTP/2 error %d)", binary.BigEndian.Uint32(f.payload))
}
