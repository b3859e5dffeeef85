package process

import (
	"runtime"
	"sync"
)

// processors is how many threads of this process may run Go code at a time.
// Without the limit that is one for each processor of the node, or of the
// container's CPU limit, which may change.
const processors = 2

// spareThreads is how many threads Reserve makes beyond those in use: one for
// each of processors, one that waits in the network poller, and the rest for
// system calls that block: standard error that nobody reads, and files.
const spareThreads = 6

// Reserve makes the threads that this process needs later. Where no thread can
// be made, as at the PID limit of a container or pod, the Go runtime ends the
// program with code 2, so they have to be there before a command can take the
// last process number. The runtime keeps threads without work.
func Reserve() {
	runtime.GOMAXPROCS(processors)
	var all, over sync.WaitGroup
	all.Add(spareThreads)
	for range spareThreads {
		over.Go(func() {
			runtime.LockOSThread() // each has a thread of its own until all have one
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	over.Wait()
}
