// Command koordinator-net is koordinator with the network code included.
// koordinator runs it as a child process for everything that needs TLS. Under any
// other name, it behaves as koordinator and runs itself as that child. This
// single file does everything, for manifests of koordinator's predecessors, which
// copy one file.
package main

import (
	"os"

	"koordinator.io/koordinator/wrapper/command"
	"koordinator.io/koordinator/wrapper/network"
)

func main() { os.Exit(command.Main(network.Perform)) }
