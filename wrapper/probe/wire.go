package probe

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// response is an answer whose header has been read. in contains its body.
type response struct {
	status  int
	header  textproto.MIMEHeader
	length  int64 // of the body; -1: the body ends with the connection
	chunked bool

	in    *bufio.Reader
	limit *io.LimitedReader // the source of in
	close func()
}

// send sends a request on a new connection and reads the answer's header. body,
// close, or an error closes the connection.
func (r Request) send(ctx context.Context, u *url.URL, secure Secure) (*response, error) {
	text, err := r.text(u)
	if err != nil {
		return nil, err
	}
	target, err := dialAddress(u)
	if err != nil {
		return nil, err
	}
	conn, err := dialer().DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	plain := conn
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })
	end := func() { stop(); _ = conn.Close() }
	if u.Scheme == "https" {
		if conn, err = secure(ctx, plain, u.Hostname()); err != nil {
			stop()
			_ = plain.Close()
			return nil, err
		}
	}
	_, unsent := conn.Write(text) // the server may have answered nevertheless
	a, err := readResponse(conn)
	if err != nil {
		end()
		return nil, cmp.Or(unsent, err)
	}
	a.close = end
	return a, nil
}

// text returns the request in its wire format (RFC 9112, section 3). It has no
// body, accepts no compression, and closes the connection after the answer.
func (r Request) text(u *url.URL) ([]byte, error) {
	target := u.RequestURI()
	host := r.Host
	if host == "" {
		host = withoutZone(u.Host)
	}
	for _, part := range []string{r.Method, target, host} {
		if strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return nil, fmt.Errorf("invalid character in the request: %q", part)
		}
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, target, host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		var err error
		if b, err = appendHeader(b, name, r.Header[name]); err != nil {
			return nil, err
		}
	}
	if _, given := r.Header["Authorization"]; !given && u.User != nil {
		password, _ := u.User.Password()
		b = fmt.Appendf(b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	if r.Method != "GET" && r.Method != "HEAD" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if !asksToClose(r.Header["Connection"]) {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// asksToClose reports whether a Connection header already contains "close".
func asksToClose(values []string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(values, ","), ","), func(option string) bool {
		return strings.EqualFold(strings.TrimSpace(option), "close")
	})
}

// withoutZone returns a host without the zone of an IPv6 address, which is
// meaningless to the server.
func withoutZone(host string) string {
	at, end := strings.IndexByte(host, '%'), strings.LastIndexByte(host, ']')
	if at < 0 || end < at || !strings.HasPrefix(host, "[") {
		return host
	}
	return host[:at] + host[end:]
}

// ours are the headers that only the client itself may set.
var ours = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

// appendHeader appends a header's lines to b.
func appendHeader(b []byte, name string, values []string) ([]byte, error) {
	if !isToken(name) {
		return nil, fmt.Errorf("invalid header field name %q", name)
	}
	for _, value := range values {
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, fmt.Errorf("invalid header field value for %q", name)
		}
		if slices.Contains(ours, name) || name == "User-Agent" && value == "" {
			continue
		}
		b = fmt.Appendf(b, "%s: %s\r\n", name, strings.Trim(value, " \t"))
	}
	return b, nil
}

// isToken reports whether a text is a valid header name (RFC 9110, section
// 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// readResponse reads the header of the answer. It skips informational answers
// before it (RFC 9110, section 15.2).
func readResponse(conn io.Reader) (*response, error) {
	limit := &io.LimitedReader{R: conn, N: maxHeader}
	a := &response{in: bufio.NewReader(limit), limit: limit, close: func() {}}
	for {
		err := a.readHead()
		switch {
		case err != nil && limit.N <= 0:
			return nil, fmt.Errorf("server response headers exceeded %d bytes", maxHeader)
		case err != nil:
			return nil, err
		case a.status >= 200 || a.status == 101:
			return a, nil
		}
	}
}

// readHead reads a status line and a header.
func (a *response) readHead() error {
	lines := textproto.NewReader(a.in)
	line, err := lines.ReadLine()
	if err != nil {
		return cutOff(err)
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	number, err := strconv.ParseUint(code, 10, 16)
	if !isVersion(version) || len(code) != 3 || err != nil {
		return fmt.Errorf("malformed HTTP response %q", line)
	}
	a.status = int(number)
	if a.header, err = lines.ReadMIMEHeader(); err != nil {
		return cutOff(err)
	}
	return a.frame(version)
}

// isVersion reports whether a text is HTTP/ followed by a version of two
// digits.
func isVersion(s string) bool {
	digits, found := strings.CutPrefix(s, "HTTP/")
	return found && len(digits) == 3 && digits[1] == '.' && isDigit(digits[0]) && isDigit(digits[2])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// frame determines where the body ends (RFC 9112, section 6.3).
func (a *response) frame(version string) error {
	encodings, lengths := a.header["Transfer-Encoding"], a.header["Content-Length"]
	a.length, a.chunked = -1, false
	if version == "HTTP/1.0" || strings.HasPrefix(version, "HTTP/0") {
		encodings = nil // introduced with HTTP/1.1
	}
	if len(encodings) > 1 || len(encodings) == 1 && !strings.EqualFold(encodings[0], "chunked") {
		return fmt.Errorf("unsupported transfer encoding %q", encodings)
	}
	a.chunked = len(encodings) == 1
	if !a.chunked && len(lengths) > 0 {
		if len(slices.Compact(slices.Clone(lengths))) > 1 {
			return fmt.Errorf("more than one Content-Length: %q", lengths)
		}
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return fmt.Errorf("bad Content-Length %q", lengths[0])
		}
		a.length = int64(n)
	}
	if a.status < 200 || a.status == 204 || a.status == 304 {
		a.length, a.chunked = 0, false
	}
	return nil
}

// body reads the body to its end, or up to maxBody bytes, and closes the
// connection.
func (a *response) body() error {
	defer a.close()
	a.limit.N = maxHeader // also limits what surrounds the data of chunks
	err := a.drain()
	if err != nil {
		return fmt.Errorf("read body: %w", cutOff(err))
	}
	return nil
}

func (a *response) drain() error {
	if a.chunked {
		return drainChunks(a.in)
	}
	if a.length < 0 {
		_, err := io.CopyN(io.Discard, a.in, maxBody)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	_, err := io.CopyN(io.Discard, a.in, min(a.length, maxBody))
	return err
}

// drainChunks reads the chunks of a body (RFC 9112, section 7.1).
func drainChunks(in *bufio.Reader) error {
	for left := int64(maxBody); left > 0; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := chunkSize(string(line))
		if err != nil {
			return err
		}
		if size == 0 {
			_, err := textproto.NewReader(in).ReadMIMEHeader() // the trailer
			return err
		}
		if _, err := io.CopyN(io.Discard, in, min(size, left)); err != nil {
			return err
		}
		if left -= size; left <= 0 {
			return nil
		}
		var end [2]byte
		if _, err := io.ReadFull(in, end[:]); err != nil {
			return err
		}
		if string(end[:]) != "\r\n" {
			return errors.New("malformed chunked encoding")
		}
	}
	return nil
}

// chunkSize parses the line before a chunk. It ignores extensions.
func chunkSize(line string) (int64, error) {
	text, crlf := strings.CutSuffix(line, "\r\n")
	text, _, _ = strings.Cut(strings.TrimRight(text, " \t"), ";")
	n, err := strconv.ParseUint(text, 16, 63)
	if !crlf || err != nil {
		return 0, fmt.Errorf("malformed chunk size %.20q", line)
	}
	return int64(n), nil
}

// cutOff returns a read error, with io.EOF in the middle of an answer turned
// into io.ErrUnexpectedEOF.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
