// Command pause holds the namespaces of a pod: it does nothing until it receives a stop
// signal, and reaps orphaned processes.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

// main runs as process 1 of the pod's sandbox, and of the whole pod if its containers share
// a process namespace.
func main() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for pid := 1; pid > 0; { // one SIGCHLD may stand for many children
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
	}
}
