package spec

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDependenciesAreWrittenAsAUserWritesThem(t *testing.T) {
	for want, d := range map[string]Dependency{
		"migrate=succeeded": {"migrate", Succeeded, false},
		"cache=ready?":      {"cache", Ready, true},
		"db=started":        {"db", Started, false},
		"job=exited?":       {"job", Exited, true},
	} {
		if have := d.String(); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
		if again, err := parseDep(want, startDep); err != nil || again != d {
			t.Errorf("%q is read as %+v, %v", want, again, err)
		}
	}
}

func TestTheCommandsOwnCodeTakesThePlaceOfChild(t *testing.T) {
	for _, tt := range []struct {
		name  string
		code  ExitCode
		child int
		want  int
	}{
		{"the command's own", Child, 3, 3},
		{"the command's own 0", Child, 0, 0},
		{"another", 7, 3, 7},
		{"0 is a code as others are", 0, 3, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := tt.code.Or(tt.child); have != tt.want {
				t.Errorf("%d.Or(%d) = %d, want %d", tt.code, tt.child, have, tt.want)
			}
		})
	}
}

func TestTheDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	want := Spec{
		StopWhen: "any", OnStartTimeout: "fail", StopTimeout: 30e9, KilledExitCode: 137,
		ReadyWhen: "probes", Mode: "supervise", LogLevel: "info", Source: "auto", MessagePath: "/dev/termination-log",
	}
	if diff := cmp.Diff(want, Default()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if problems := Default().Check(); len(problems) > 0 {
		t.Errorf("the default is wrong: %v", problems)
	}
}

// TestNoMountIsInsideAnother compares the paths of an injected container: a volume
// cannot be mounted inside a read-only volume.
func TestNoMountIsInsideAnother(t *testing.T) {
	mounts := []string{BinDir, PodinfoDir, RecordDir, PeersDir, OwnAPIAccess}
	for _, a := range mounts {
		if path.Dir(a) != Root {
			t.Errorf("%s is not directly in %s", a, Root)
		}
		for _, b := range mounts {
			if a != b && strings.HasPrefix(b+"/", a+"/") {
				t.Errorf("%s is inside %s", b, a)
			}
		}
	}
	if path.Dir(Binary) != BinDir || path.Base(Binary) != BinaryName {
		t.Errorf("the installer writes %s to %s, and %s is run", BinaryName, BinDir, Binary)
	}
}

// TestExitCodesDoNotChange compares the codes with those of the documentation.
func TestExitCodesDoNotChange(t *testing.T) {
	codes := map[string]int{
		"bad config": ExitBadConfig, "unsatisfiable": ExitUnsatisfiable, "restart": ExitRestart, "env file": ExitEnvFile,
		"start timeout": ExitStartTimeout, "not executable": ExitNotExecutable, "not found": ExitNotFound, "stopped": ExitStopped,
	}
	want := map[string]int{
		"bad config": 64, "unsatisfiable": 69, "restart": 75, "env file": 78,
		"start timeout": 124, "not executable": 126, "not found": 127, "stopped": 143,
	}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("users match these numbers in podFailurePolicy (-want +have):\n%s", diff)
	}
}

// TestTerminationMessagesAreDistinct checks the messages that a peer reads in
// the pod's status: each begins with koordinator's sign, and none begins with
// another.
func TestTerminationMessagesAreDistinct(t *testing.T) {
	messages := []string{NotStarted, StoppedBy, KilledBy, HeldTooLong}
	for i, a := range messages {
		if !strings.HasPrefix(a, Sign) {
			t.Errorf("%q has no sign", a)
		}
		for j, b := range messages {
			if i != j && strings.HasPrefix(a, b) {
				t.Errorf("%q begins with %q", a, b)
			}
		}
	}
}
