package process

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// BenchmarkStartAndReap runs /bin/true like the wrapper.
func BenchmarkStartAndReap(b *testing.B) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	command := Command{Argv: []string{"/bin/true"}, Env: os.Environ()}
	for b.Loop() {
		c, err := Start(command)
		if err != nil {
			b.Fatal(err)
		}
		for ended := false; !ended; {
			<-children
			_, ended = c.Ended(Reap())
		}
	}
}

// BenchmarkExecCommand runs /bin/true with os/exec, for comparison.
func BenchmarkExecCommand(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
