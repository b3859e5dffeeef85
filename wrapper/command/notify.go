package command

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/notify"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// notices creates the socket for the command's notification, and returns the
// variable with which the command finds it. The socket is not removed at the
// end of the run: it disappears with the container, or the next incarnation
// replaces it.
func (c command) notices(config *wrapper.Config) ([]envfile.Variable, error) {
	if config.Spec.ReadyWhen != spec.ReadyByNotice {
		return nil, nil
	}
	dir := c.recordDir
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if dir, err = os.MkdirTemp("", spec.BinaryName); err == nil {
			err = os.Chmod(dir, 0o755) // #nosec G302: the command may run as another user
		}
		if err != nil {
			return nil, fmt.Errorf("make a directory for the socket of %s: %w: mount a volume at %s", notify.Env, err, spec.RecordDir)
		}
	}
	socket, err := notify.Listen(dir)
	if err != nil {
		return nil, err
	}
	noticed := make(chan struct{})
	config.Noticed = noticed
	stranger := sync.OnceFunc(func() {
		config.Log.Error("a process that is not the command's sent READY=1: it is ignored")
	})
	go socket.Receive(func() { close(noticed) }, stranger)
	return []envfile.Variable{{Name: notify.Env, Value: socket.Path()}}, nil
}

// reserved returns the variables that env files must not set.
func reserved(s spec.Spec) []string {
	if s.ReadyWhen == spec.ReadyByNotice {
		return append([]string{notify.Env}, ownVariables...)
	}
	return ownVariables
}

// awaitNotice blocks until the command has reported that it is ready, but not
// longer than until end.
func (c command) awaitNotice(s spec.Spec, started, end time.Time) error {
	for {
		err := c.noticed(s)
		if err == nil {
			return nil
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("started %s ago, %w", time.Since(started).Round(time.Second), err)
		}
		time.Sleep(readyPoll)
	}
}

// noticed returns an error until the command has reported that it is ready.
func (c command) noticed(s spec.Spec) error {
	if s.ReadyWhen != spec.ReadyByNotice {
		return nil
	}
	if p, err := record.Read(c.recordDir); err != nil || !p.Ready {
		return errors.New(spec.NoNotice)
	}
	return nil
}
