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

// spareThreads is how many threads Reserve creates in addition to those in use:
// one per processor, one that starts processes, one that waits in the network
// poller, and the rest for blocking system calls, such as writes to standard
// error without a reader, and file access.
const spareThreads = 5

// Reserve creates the threads that this process will need. If no thread can be
// created, for example at the PID limit of a container or pod, the Go runtime
// ends the program with code 2. The threads must therefore exist before a
// command can take the last PID. The runtime keeps idle threads.
func Reserve() {
	runtime.GOMAXPROCS(processors)
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
