package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// frame is one HTTP/2 frame (RFC 9113, section 4.1).
type frame struct {
	kind    byte
	flags   byte
	stream  uint32
	payload []byte
}

// The kinds of frames that a client needs (section 6). Others are ignored.
const (
	kindData         = 0x0
	kindHeaders      = 0x1
	kindReset        = 0x3
	kindSettings     = 0x4
	kindPush         = 0x5
	kindPing         = 0x6
	kindGoAway       = 0x7
	kindContinuation = 0x9
)

// The flags of frames. Each applies to some kinds only.
const (
	flagAck        = 0x1 // settings, ping
	flagEndStream  = 0x1 // data, headers
	flagEndHeaders = 0x4 // headers, continuation
	flagPadded     = 0x8 // data, headers
)

// Sizes in bytes.
const (
	frameHeader = 9
	maxFrame    = 16 << 10 // of a payload; the client does not allow larger ones
)

// errNotHTTP2 is the error for a server that does not begin with settings, or
// that sends a frame longer than allowed, which is how text that is not HTTP/2
// looks.
var errNotHTTP2 = errors.New("no HTTP/2 without TLS is spoken here")

// readFrame reads one frame. At the end of r it returns io.EOF, within a frame
// io.ErrUnexpectedEOF.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if length > maxFrame {
		return frame{}, errNotHTTP2
	}
	f := frame{
		kind:    head[3],
		flags:   head[4],
		stream:  binary.BigEndian.Uint32(head[5:]) &^ (1 << 31), // the first bit is reserved
		payload: make([]byte, length),
	}
	_, err := io.ReadFull(r, f.payload)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// has reports whether a flag is set.
func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

// content returns the payload of a data frame without its padding.
func (f frame) content() ([]byte, error) {
	if !f.has(flagPadded) {
		return f.payload, nil
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return nil, errors.New("HTTP/2 frame with more padding than content")
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], nil
}

// sized returns an error if the payload does not have the only length that its
// kind allows.
func (f frame) sized(length int) error {
	if len(f.payload) != length {
		return fmt.Errorf("HTTP/2 frame of kind %d with %d bytes, want %d", f.kind, len(f.payload), length)
	}
	return nil
}

// appendFrame appends a frame to b.
func appendFrame(b []byte, f frame) []byte {
	n := len(f.payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), f.kind, f.flags)
	b = binary.BigEndian.AppendUint32(b, f.stream)
	return append(b, f.payload...)
}

// appendField appends a header field to b as HPACK's literal without indexing
// and with a new name (RFC 7541, section 6.2.2), which needs no table.
func appendField(b []byte, name, value string) []byte {
	return appendText(appendText(append(b, 0), name), value)
}

// appendText appends a string literal that is not Huffman-coded (section 5.2).
func appendText(b []byte, s string) []byte {
	const prefix = 127 // the largest length that fits into 7 bits indicates that more bytes follow
	if len(s) < prefix {
		b = append(b, byte(len(s)))
	} else {
		b = binary.AppendUvarint(append(b, prefix), uint64(len(s)-prefix))
	}
	return append(b, s...)
}
