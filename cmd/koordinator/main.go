// Command koordinator runs a container's command at its time: it waits for the
// containers it depends on, supervises it, and stops it when it should stop.
//
//	koordinator [--] COMMAND [ARGUMENT…]   run COMMAND as KOORDINATOR_SPEC says
//	koordinator install DIR                copy this binary to DIR/koordinator
//	koordinator gate                       block until this container's command runs
//	koordinator version                    print the version
//
// A command that is itself called install, gate, version or help is run with "--".
package main

import (
	"os"

	"koordinator.io/koordinator/wrapper/process"
)

func main() {
	signals, children := process.Signals() // first: until then a signal would end us
	os.Exit(fromProcess().main(signals, children))
}
