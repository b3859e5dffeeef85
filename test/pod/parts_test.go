package pod

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// play plays a part that a shell cannot, as a container's command.
func play(part string) int {
	switch part {
	case "part-environ":
		data, err := os.ReadFile("/proc/self/environ")
		if err != nil {
			panic(err)
		}
		fmt.Println(strings.ReplaceAll(string(data), "\x00", "|"))
	case "part-hear":
		hear()
	case "part-exhaust":
		exhaust()
	}
	return 0
}

// hear prints the number of every signal that comes, until SIGTERM.
func hear() {
	heard := make(chan os.Signal, 200)
	signal.Notify(heard)
	fmt.Println("up")
	for s := range heard {
		if s != syscall.SIGURG { // from its own runtime
			fmt.Println(int(s.(syscall.Signal)))
		}
		if s == syscall.SIGTERM {
			return
		}
	}
}

// exhaust takes every inotify instance its user can have, and keeps them.
func exhaust() {
	n := 0
	for ; ; n++ {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			break
		}
	}
	fmt.Println("up", n)
	time.Sleep(time.Hour)
}

// self is the test binary as a container finds it.
const self = "/part"

// part is a container whose command is a part.
func part(name string) Container {
	file, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Container{Files: map[string]string{self: file}, Command: []string{self, "part-" + name}}
}
