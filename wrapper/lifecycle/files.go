package lifecycle

import "koordinator.io/koordinator/wrapper/spec"

// filesPhrase is the phrase for a container that waits until its env files are
// read.
const filesPhrase = "its env files to be read"

// readFiles starts reading the env files. The container waits until they are
// read, so any event that ends a wait ends this one.
func (m *Machine) readFiles() []Action {
	m.waiting = []string{filesPhrase}
	if m.reading {
		return nil
	}
	m.reading = true
	return []Action{ReadFiles{}}
}

// filesRead takes the answer to ReadFiles. The variables are used only for a
// start that follows immediately. If the container has to wait again, the files
// are read again afterwards.
func (m *Machine) filesRead(err string) []Action {
	m.reading = false
	if m.state != Waiting || m.noted {
		return nil // stale, or the stop request follows
	}
	if err != "" {
		return m.finish(spec.ExitEnvFile, err)
	}
	m.read = true
	acts := m.evaluate()
	m.read = false
	return acts
}
