// Package network performs the tasks of the network program: it watches the pod
// at the API server, and sends requests that require TLS. The wrapper runs the
// program as a child process only while it needs it. The memory for TLS and fatal
// errors of the Go runtime therefore do not affect the wrapper.
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

// Perform performs a task and returns the program's exit code. The task's input
// comes from in, a JSON document; it prints lines of JSON to out. Lines of the
// log, which logger makes, and what is wrong with the input go to stderr.
func Perform(task string, in io.Reader, out, stderr io.Writer, logger func(container, level string) *slog.Logger) int {
	signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU) // nobody would continue it
	signal.Ignore(syscall.SIGPIPE)                                   // a log that nobody reads is no reason to end
	debug.SetGCPercent(50)                                           // as the wrapper
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

// settled is how long after its start a watch has nothing to do as a rule, and
// needs no more of its program than it takes to wait.
const settled = time.Second

// watch prints a snapshot whenever the pod's status has changed, until ctx ends
// or nobody reads them any more.
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

// Secure makes a TLS connection out of a plain one. Certificates are not
// verified, as the kubelet does not verify those of probes: the server is a
// neighbour in the pod.
func Secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	err := c.HandshakeContext(ctx)
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
		return nil, probe.ErrPlain
	}
	return c, err
}
