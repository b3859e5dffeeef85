package pod

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// play acts as a command of a container that cannot be written as a shell script.
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
	case "part-report":
		report(os.Args[2])
	}
	return 0
}

// hear prints the number of every received signal, until SIGTERM.
func hear() {
	heard := make(chan os.Signal, 200)
	signal.Notify(heard)
	fmt.Println("up")
	for s := range heard {
		if s != syscall.SIGURG { // sent by its own runtime
			fmt.Println(int(s.(syscall.Signal)))
		}
		if s == syscall.SIGTERM {
			return
		}
	}
}

// report sends READY=1 to a socket and continues to run. "own" stands for the socket in
// NOTIFY_SOCKET.
func report(path string) {
	if path == "own" {
		path = os.Getenv("NOTIFY_SOCKET")
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		panic(err)
	}
	fmt.Println("up")
	for range 20 { // retry, because the wrapper may only now begin to listen
		if _, err := conn.Write([]byte("READY=1")); err != nil {
			panic(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Println("reported")
	time.Sleep(time.Hour)
}

// exhaust takes all inotify instances that its user may have, and keeps them.
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

// self is the path of the test binary in a container.
const self = "/part"

// part returns a container whose command is a part.
func part(name string) Container {
	file, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Container{Files: map[string]string{self: file}, Command: []string{self, "part-" + name}}
}
