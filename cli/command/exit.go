package command

import "errors"

// The exit codes, which are the same for every command.
const (
	exitBad      = 1 // the command worked, and its answer is "bad"
	exitUsage    = 2 // the command line is wrong
	exitWarnings = 3 // there are warnings, and --fail-on=warning is set
	exitTrouble  = 4 // the cluster or a file could not be read or written
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// badAnswer is the outcome of a command that worked and whose answer is "bad".
type badAnswer struct{ error }

func (e badAnswer) Unwrap() error { return e.error }

// errReported is wrapped in an outcome that has already been printed, so that it is not
// reported again.
var errReported = errors.New("already reported")

// errWarnings is the outcome if there are only warnings and --fail-on=warning.
var errWarnings = errors.New("there are warnings")

// codeOf returns the exit code of an outcome. Every error that is not known to be the
// user's or the pod's fault counts as trouble with the cluster or a file.
func codeOf(err error) int {
	var usage usageError
	var bad badAnswer
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &bad):
		return exitBad
	case errors.Is(err, errWarnings):
		return exitWarnings
	default:
		return exitTrouble
	}
}
