// Command koordinator runs a container's command at its time: it waits for the
// containers it depends on, supervises it, and stops it when it should stop.
//
//	koordinator [--] COMMAND [ARGUMENT…]          run COMMAND as KOORDINATOR_SPEC says
//	koordinator install [--without-network] DIR [RECORDS [NAME…]]
//	                                              copy koordinator and koordinator-net to DIR;
//	                                              make places for records in RECORDS, emptied
//	koordinator gate                              block until this container's command runs
//	koordinator prestop                           run this container's preStop hook
//	koordinator probe liveness|readiness          answer this container's probe
//	koordinator status [-o json]                  print what the containers of the pod do
//	koordinator version                           print the version
//
// A command that is itself called as one of these is run with "--".
//
// It has no TLS in it. What takes TLS, the watch of the pod at the API server and
// requests over HTTPS, it leaves to koordinator-net, which lies beside it.
package main

import (
	"os"

	"koordinator.io/koordinator/wrapper/command"
)

func main() { os.Exit(command.Main(nil)) }
