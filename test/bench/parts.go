package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long a command waits until its wrapper is at rest.
const settle = 20 * time.Millisecond

// monotonic returns CLOCK_MONOTONIC in nanoseconds. All processes share this clock.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // this clock always exists
	}
	return now.Nano()
}

// play acts as a command in a container.
func play(part string, args []string) int {
	switch part {
	case "part-exit": // waits until the wrapper is at rest, prints the time, and exits
		time.Sleep(settle)
		fmt.Println(monotonic())
		return 0
	case "part-now": // prints the time at which it runs
		fmt.Println(monotonic())
		return 0
	case "part-until": // prints the time at which it receives a signal, and exits
		return until(args)
	case "part-listen": // listens on a port after a time, and prints when
		return listen(args)
	case "part-watch": // watches pods as wrappers do
		return watchPods(args)
	}
	fmt.Fprintln(os.Stderr, "no part", part)
	return 2
}

func until(args []string) int {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return complain(err)
	}
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.Signal(number))
	fmt.Println("up")
	<-heard
	fmt.Println(monotonic())
	return 0
}

func listen(args []string) int {
	after, err := time.ParseDuration(args[1])
	if err != nil {
		return complain(err)
	}
	time.Sleep(after)
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		return complain(err)
	}
	fmt.Println(monotonic())
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return 0
		}
		if err == nil {
			c.Close()
		}
	}
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
