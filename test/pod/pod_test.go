package pod

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestContainer(t *testing.T) {
	tests := []struct {
		name   string
		c      Container
		code   int
		stdout string
	}{
		{"the command is a child of PID 1", Container{Command: sh("echo $PPID")}, 0, "1\n"},
		{"its exit code comes back", Container{Command: sh("exit 7")}, 7, ""},
		{"unwrapped it is PID 1", Container{Command: []string{"/bin/sh", "-c", "echo $$"}, Unwrapped: true}, 0, "1\n"},
		{"the user is the one asked for", Container{Command: sh("id -u; id -g; id -G"), UID: 65534}, 0, "65534\n65534\n65534\n"},
		{"there is no capability when all are dropped", Container{Command: sh("grep -c 'Cap.*:.0000000000000000' /proc/self/status"), UID: 65534, DropCaps: true}, 0, "5\n"},
		{"a spec is in the wrapper's environment alone", Container{Command: sh("echo $KOORDINATOR_SPEC $A"), Env: []string{"A=1"}, Spec: "{}"}, 0, "1\n"},
		{"the working directory is the one asked for", Container{Command: sh("pwd"), Dir: "/usr"}, 0, "/usr\n"},
		{"processes of others are not seen", Container{Command: sh("set -- /proc/[0-9]*; echo $#")}, 0, "2\n"},
		{"the root can be read-only", Container{Command: sh("touch /x 2>/dev/null || echo no"), ReadOnly: true}, 0, "no\n"},
		{"and is not shared otherwise", Container{Command: sh("touch /x && ls /x")}, 0, "/x\n"},
		{"own record is writable", Container{Command: sh("touch " + spec.RecordDir + "/x && ls " + spec.PeersDir + "/app/x")}, 0, spec.PeersDir + "/app/x\n"},
		{"the records of others are not", Container{Command: sh("touch " + spec.PeersDir + "/app/x 2>/dev/null || echo no")}, 0, "no\n"},
		{"nor the binary", Container{Command: sh("echo >" + spec.Binary + " 2>/dev/null || echo no")}, 0, "no\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, newPod(t), test.c)
			exits(t, r, test.code)
			if r.Stdout() != test.stdout {
				t.Errorf("stdout %q, want %q; stderr %q", r.Stdout(), test.stdout, r.Stderr())
			}
		})
	}
}

func TestContainersShareTheRecords(t *testing.T) {
	p := newPod(t)
	a := start(t, p, Container{Name: "a", Command: sh("echo a >" + spec.RecordDir + "/x; sleep 60")})
	file := filepath.Join(p.Records(), "a", "x")
	eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, a.Stderr)
	b := start(t, p, Container{Name: "b", UID: 1000, Command: sh("cat " + spec.PeersDir + "/a/x; ls " + spec.RecordDir + "/x 2>&1")})
	ends(t, b)
	if !strings.HasPrefix(b.Stdout(), "a\n") || !strings.Contains(b.Stdout(), "No such file") {
		t.Errorf("b sees %q", b.Stdout())
	}
}

func TestTerminationMessage(t *testing.T) {
	r := start(t, newPod(t), Container{Command: []string{"nosuch"}})
	exits(t, r, spec.ExitNotFound)
	if !strings.HasPrefix(r.Message(), spec.NotStarted) {
		t.Errorf("message %q; stderr %q", r.Message(), r.Stderr())
	}
}

func TestSignalAndKill(t *testing.T) {
	p := newPod(t)
	r := start(t, p, Container{Command: sh("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done")})
	says(t, r, "up")
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exits(t, r, 5)
	r = start(t, p, Container{Command: sh("echo up; sleep 60")})
	says(t, r, "up")
	r.Kill()
	exits(t, r, 137)
}

func TestSharedProcessNamespace(t *testing.T) {
	p := newPod(t)
	if err := p.Share(); err != nil {
		t.Fatal(err)
	}
	a := start(t, p, Container{Name: "a", Command: sh("echo up; sleep 60")})
	says(t, a, "up")
	b := start(t, p, Container{Name: "b", Command: sh("test $PPID != 1 && cat /proc/*/cmdline | tr '\\0' ' '")})
	exits(t, b, 0)
	if !strings.Contains(b.Stdout(), "echo up; sleep 60") {
		t.Errorf("b does not see a: %q", b.Stdout())
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	p := newPod(t)
	r := start(t, p, Container{Command: sh("echo up; sleep 60")})
	says(t, r, "up")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.PID, 0); err != syscall.ESRCH {
		t.Errorf("the container's process is still there: %v", err)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", p.dir, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), p.dir) {
		t.Errorf("mounts are left, %v: %s", err, mounts)
	}
}
