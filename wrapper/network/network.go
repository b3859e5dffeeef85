// Package network performs the tasks of the network program: it watches the pod
// through the API server, and sends requests that require TLS. The wrapper runs
// the program as a child process only while it needs it. The memory for TLS and
// fatal errors of the Go runtime therefore do not affect the wrapper.
package network

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/podwatch"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// Perform performs a task and returns the program's exit code. It reads the
// task's input, a JSON document, from in and prints lines of JSON to out. Log
// lines of the logger that logger returns, and errors, go to stderr.
func Perform(task string, in io.Reader, out, stderr io.Writer, logger func(container, level string) *slog.Logger) int {
	signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU) // nothing would continue a stopped program
	signal.Ignore(syscall.SIGPIPE)                                   // a log without a reader is no reason to end
	debug.SetGCPercent(50)                                           // like the wrapper
	debug.SetMemoryLimit(math.MaxInt64)
	var err error
	switch task {
	case spec.WatchTask:
		err = watch(context.Background(), in, out, logger)
	case spec.RequestTask:
		err = probe.Answer(context.Background(), in, out, Secure)
	default:
		err = fmt.Errorf("unknown task %q", task)
	}
	if err != nil {
		fmt.Fprintf(stderr, "koordinator: %s: %v\n", spec.NetworkName, err)
		return 1
	}
	return 0
}

// settled is how long after its start a watch usually becomes idle, so that
// most of the program's memory can be freed.
const settled = time.Second

// watch prints a snapshot whenever the pod's status has changed, until ctx ends
// or the output has no reader.
func watch(ctx context.Context, in io.Reader, out io.Writer, logger func(container, level string) *slog.Logger) error {
	var c podstatus.Config
	if err := json.NewDecoder(in).Decode(&c); err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	time.AfterFunc(settled, process.FreeMemory)
	snapshots := make(chan podstatus.Snapshot)
	go podwatch.Watch(ctx, c, logger(c.Container, c.LogLevel), snapshots)
	enc := json.NewEncoder(out)
	for {
		select {
		case s := <-snapshots:
			if err := enc.Encode(s); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Secure turns a plain connection into a TLS connection. It does not verify
// certificates, like the kubelet with those of probes: the server runs in the
// same pod.
func Secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	err := c.HandshakeContext(ctx)
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
		return nil, probe.ErrPlain
	}
	return c, err
}
