// Command kubectl-koordinator is a kubectl plugin for koordinator users. It
// covers the steps before and after kubectl apply.
package main

import (
	"os"

	"koordinator.io/koordinator/cli/command"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
