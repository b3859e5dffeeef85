//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests derive the order of events from the times that the processes write into their
// own lines: the wrapper into its log, and a container's command in front of each text that
// it SAYs. An event and its consequence have this order however busy the machine is. The
// time at which the container runtime reads a line is not reliable, because it depends on
// when the runtime gets a processor.

// spoken replaces SAY in a manifest's shell commands by an echo of the seconds since the
// machine's start and the text. The shell reads the time without another process. SAY must
// be at the beginning of a command, or after && or ;.
func spoken(manifest string) string {
	return strings.ReplaceAll(manifest, "SAY ", "read at _ </proc/uptime && echo $at ")
}

// voiced replaces echo by SAY in a manifest that was not written for these tests.
func voiced(manifest string) string { return strings.ReplaceAll(manifest, "echo ", "SAY ") }

// grain is the possible error in a comparison of the times of two lines. Times from SAY are
// in hundredths of a second, and those in the wrapper's log in thousandths. Both are
// truncated, not rounded.
const grain = 11 * time.Millisecond

// output is a container's log.
type output struct {
	container string
	lines     []line
}

// line is a line of a log, with the time that its writer added, if any.
type line struct {
	at   time.Time
	text string
}

func logs(t *testing.T, ns, pod, container string) output {
	t.Helper()
	return parseLogs(t, container, kubectl(t, "-n", ns, "logs", pod, "-c", container))
}

// follow reads a container's log from now to its end. The returned function waits for the
// end and returns the log. When follow returns, it has read the beginning of the log.
func follow(t *testing.T, ns, pod, container string) func() output {
	t.Helper()
	cmd, stdout := streaming(t, "-n", ns, "logs", "-f", pod, "-c", container)
	r := bufio.NewReader(stdout)
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("follow the log of %s: %v", container, err)
	}
	return func() output {
		t.Helper()
		rest, err := io.ReadAll(r)
		if err = errors.Join(err, cmd.Wait()); err != nil {
			t.Fatalf("follow the log of %s: %v; last:\n%s", container, err, first+string(rest))
		}
		return parseLogs(t, container, first+string(rest))
	}
}

// streaming starts a kubectl that runs until it is killed, at the latest at the end of the test.
func streaming(t *testing.T, args ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	cmd := cluster.KubectlCommand(ctx, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

// said matches a line of a command that SAYs something, and logged a line of the wrapper.
var (
	said   = regexp.MustCompile(`^(\d+\.\d\d) `)
	logged = regexp.MustCompile(`^time=(\S+) `)
)

func parseLogs(t *testing.T, container, text string) output {
	t.Helper()
	up := machineStart(t)
	o := output{container: container}
	for text := range strings.Lines(text) {
		l := line{text: strings.TrimSpace(text)}
		if m := said.FindStringSubmatch(text); m != nil {
			seconds, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			l.at = up.Add(time.Duration(seconds * float64(time.Second)))
		} else if m := logged.FindStringSubmatch(text); m != nil {
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err != nil {
				t.Fatal(err)
			}
			l.at = at
		}
		o.lines = append(o.lines, l)
	}
	return o
}

// machineStart returns the time of the machine's start.
func machineStart(t *testing.T) time.Time {
	t.Helper()
	starts := map[time.Duration]time.Time{} // by the time that it took to read the two clocks
	for range 10 {
		var up unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
			t.Fatal(err)
		}
		starts[time.Since(before)] = before.Add(-time.Duration(up.Nano()))
	}
	return starts[slices.Min(slices.Collect(maps.Keys(starts)))]
}

// when returns the time of the first line that contains text. There must be such a line.
func (o output) when(t *testing.T, text string) time.Time {
	t.Helper()
	for _, l := range o.lines {
		if !strings.Contains(l.text, text) {
			continue
		}
		if l.at.IsZero() {
			t.Fatalf("container %s does not say when: %q", o.container, l.text)
		}
		return l.at
	}
	t.Fatalf("container %s never said %q:\n%s", o.container, text, o)
	return time.Time{}
}

func (o output) has(text string) bool { return strings.Contains(o.String(), text) }

func (o output) String() string {
	var b bytes.Buffer
	for _, l := range o.lines {
		fmt.Fprintln(&b, l.text)
	}
	return b.String()
}

// moment is an event at a time.
type moment struct {
	what string
	at   time.Time
}

// inOrder checks that the moments are in ascending order.
func inOrder(t *testing.T, moments ...moment) {
	t.Helper()
	for i := 1; i < len(moments); i++ {
		notBefore(t, moments[i-1], 0, moments[i])
	}
}

// notBefore checks that then happened at least the duration least after from. A slow
// machine cannot break this check if from is not earlier than the event from which the
// duration counts. The opposite must not be checked, because an upper limit depends on the
// machine.
func notBefore(t *testing.T, from moment, least time.Duration, then moment) {
	t.Helper()
	if then.at.Before(from.at.Add(least - grain)) {
		t.Errorf("%q at %s is not before %q at %s, by at least %s", from.what, from.at.Format(time.StampMicro),
			then.what, then.at.Format(time.StampMicro), least)
	}
}
