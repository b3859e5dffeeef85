package process

import (
	"runtime"
	"sync"
)

// processors is how many threads of this process may run Go code at the same
// time. By default that is the number of processors of the node, or of the
// container's CPU limit, which may change. With more than one, Go wakes a thread
// for each goroutine that becomes ready, which takes longer than the goroutine's
// work.
const processors = 1

// blocked is how many system calls may be in progress at the same time. Writes to
// standard error without a reader block. Any other system call, such as file
// access, takes long if its thread has to wait for a processor.
const blocked = 5

// spareThreads is how many threads Reserve creates in addition to those in use:
// one that starts processes, one that waits in the network poller, and those that
// block. The thread of the caller remains for Go code.
const spareThreads = 2 + blocked

// Reserve creates the threads that this process will need. If no thread can be
// created, for example at the PID limit of a container or pod, the Go runtime
// ends the program with code 2. The threads must therefore exist before a
// command can take the last PID. The runtime keeps idle threads.
func Reserve() {
	runtime.GOMAXPROCS(processors)
	runtime.LockOSThread() // the caller's thread is not one of them
	defer runtime.UnlockOSThread()
	var all, over sync.WaitGroup
	all.Add(spareThreads)
	for range spareThreads {
		over.Go(func() {
			runtime.LockOSThread() // each goroutine has a thread of its own until all have one
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	over.Wait()
}
