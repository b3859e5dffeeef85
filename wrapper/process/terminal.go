package process

import "golang.org/x/sys/unix"

// Terminal reports whether a command may be started on the terminal: fd 0 is
// this process's controlling terminal, and this process is in its foreground.
// It is false for a terminal of another session, which the kernel would reject,
// and in the background of an interactive shell, where taking the terminal
// would take it from the user. A terminal can hang up, so call Terminal right
// before Start.
func Terminal() bool {
	front, err := unix.IoctlGetUint32(0, unix.TIOCGPGRP)
	return err == nil && int(front) == unix.Getpgrp()
}
