package spec

import "context"

// NetworkName is the name of the second program, which has what the wrapper
// leaves out: TLS, and the watch of the pod at the API server. The wrapper runs
// it as a child process while it is needed. It lies beside the wrapper.
const NetworkName = "koordinator-net"

// WithoutNetwork is the first argument of "koordinator install" where the network
// program is not to be copied.
const WithoutNetwork = "--without-network"

// The tasks of the network program, its only argument. Each reads its input, a
// JSON document, from standard input, and prints lines of JSON.
const (
	WatchTask   = "watch"   // input: a podstatus.Config; a podstatus.Snapshot after each change, until it is killed
	RequestTask = "request" // input: a probe.Request; one reply
)

// Network runs the network program for one task, until it ends or ctx does, and
// calls line for each line it prints; an error of line ends it. It blocks until
// the process is gone. An error is why it could not be started, that of line or
// of ctx, or its exit code where that is not 0.
type Network func(ctx context.Context, task string, input []byte, line func([]byte) error) error
