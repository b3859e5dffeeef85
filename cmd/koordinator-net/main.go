// Command koordinator-net is koordinator with the network in it: the program that
// koordinator runs as a child process for what takes TLS. Under any other name it
// is koordinator, with itself as that child: one file that does everything, for
// the manifests of koordinator's predecessors, which copy one file.
package main

import (
	"os"

	"koordinator.io/koordinator/wrapper/command"
	"koordinator.io/koordinator/wrapper/network"
)

func main() { os.Exit(command.Main(network.Perform)) }
