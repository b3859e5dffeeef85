package podwatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// get requests the namespace's pods and returns the body of a 200 answer; the
// caller closes it. For any other answer, the error is an *answer.
func (w *watcher) get(ctx context.Context, query url.Values) (io.ReadCloser, error) {
	req, err := w.request(ctx, query)
	if err != nil {
		return nil, err
	}
	if w.transport == nil {
		if w.transport, err = newTransport(w.config.CAFile, w.pace.header); err != nil {
			return nil, err
		}
	}
	res, err := w.transport.RoundTrip(req) // no client: no redirects, no cookies
	if err != nil {
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
			w.disconnect() // the CA may have been replaced: the next request reads it again
			err = fmt.Errorf("%w (trusted: %s)", err, w.config.CAFile)
		}
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	return nil, w.refusal(res)
}

// request returns a request with the current token: the kubelet rotates it.
func (w *watcher) request(ctx context.Context, query url.Values) (*http.Request, error) {
	token, err := os.ReadFile(w.config.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	address := w.config.Server + "/api/v1/namespaces/" + url.PathEscape(w.config.Namespace) + "/pods?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("User-Agent", "koordinator")
	return req, nil
}

// disconnect closes the connection, if there is one.
func (w *watcher) disconnect() {
	if w.transport != nil {
		w.transport.CloseIdleConnections()
		w.transport = nil
	}
}

// newTransport returns a transport that uses HTTP/1.1 (one connection serves
// one watch), no proxy (the environment belongs to the application) and only
// the CAs in caFile. It detects a dead peer after 35 s.
func newTransport(caFile string, header time.Duration) (*http.Transport, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA: no certificate in %s", caFile)
	}
	dialer := &net.Dialer{
		Timeout:         10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  header,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           1,
		MaxConnsPerHost:        1, // a request waits until the previous answer has released its connection
		DisableCompression:     true,
		Protocols:              protocols,
	}, nil
}

// answer is any answer of the API server other than 200, or an ERROR event.
type answer struct {
	code       int
	message    string        // the message of the v1.Status, or the beginning of the body
	remedy     string        // how to fix it, if known
	retryAfter time.Duration // as requested by the server; 0: not requested
}

// Error returns "403 Forbidden: MESSAGE: REMEDY".
func (a *answer) Error() string {
	parts := []string{strings.TrimSpace(strconv.Itoa(a.code) + " " + http.StatusText(a.code)), a.message, a.remedy}
	empty := func(part string) bool { return part == "" }
	return strings.Join(slices.DeleteFunc(parts, empty), ": ")
}

// refusesVersion reports whether a watch may have been rejected because of its
// resourceVersion.
func (a *answer) refusesVersion() bool {
	switch a.code {
	case http.StatusBadRequest, http.StatusGone, http.StatusUnprocessableEntity, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusal returns the error for an answer of the server.
func (w *watcher) refusal(res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 16<<10))
	var status struct{ Message string }
	if err := json.Unmarshal(body, &status); (err != nil || status.Message == "") && len(body) > 0 {
		status.Message = fmt.Sprintf("%.200q", body)
	}
	a := &answer{code: res.StatusCode, message: status.Message}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		a.retryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	switch res.StatusCode {
	case http.StatusUnauthorized:
		a.remedy = "the API server does not accept the token in " + w.config.TokenFile +
			": let it be a token of this cluster that has not expired, or the service account be there still"
	case http.StatusForbidden:
		a.remedy = fmt.Sprintf("needed: get, list, watch on pods in namespace %s for the pod's service account; koordinator's webhook grants it to pods it injected, otherwise bind a role",
			w.config.Namespace)
	}
	return a
}
