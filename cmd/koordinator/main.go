// Command koordinator runs and supervises a container's command: it waits until
// the container's dependencies are met, starts the command, and stops it when its
// stop conditions are met.
//
//	koordinator [--] COMMAND [ARGUMENT…]          run COMMAND according to KOORDINATOR_SPEC
//	koordinator install [--without-network] DIR [RECORDS [NAME…]]
//	                                              copy koordinator and koordinator-net to DIR;
//	                                              clear RECORDS, and create a directory for each NAME
//	koordinator gate                              wait until this container's command runs
//	koordinator prestop                           run this container's preStop hook
//	koordinator probe liveness|readiness          run this container's probe
//	koordinator status [-o json]                  print the state of the pod's containers
//	koordinator version                           print the version
//
// Use "--" to run a command whose own name is one of these subcommands.
//
// The binary contains no TLS code. It leaves the watch of the pod at the API
// server and HTTPS requests to koordinator-net, which is installed alongside it.
package main

import (
	"os"

	"koordinator.io/koordinator/wrapper/command"
)

func main() { os.Exit(command.Main(nil)) }
