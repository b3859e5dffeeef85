package command

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/notify"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestOnlyACommandThatReportsGetsASocket(t *testing.T) {
	c := command{recordDir: t.TempDir()}
	config := wrapper.Config{Spec: spec.Default(), Log: slog.New(slog.DiscardHandler)}
	if variables, err := c.notices(&config); err != nil || variables != nil || config.Noticed != nil {
		t.Errorf("have %v, %v, without readyWhen: notify", variables, err)
	}
	config.Spec.ReadyWhen = spec.ReadyByNotice
	variables, err := c.notices(&config)
	if err != nil || len(variables) != 1 || variables[0].Name != notify.Env || filepath.Dir(variables[0].Value) != c.recordDir {
		t.Fatalf("have %v, %v, want a socket in %s", variables, err, c.recordDir)
	}
	select {
	case <-config.Noticed:
		t.Fatal("reported before anybody has")
	default:
	}
	socket, err := net.Dial("unixgram", variables[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := socket.Write([]byte("STATUS=soon\nREADY=1")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-config.Noticed:
	case <-time.After(time.Minute):
		t.Fatal("not reported")
	}
}

// TestASocketWithoutARecordDirectory checks that the socket is created in a
// temporary directory that other users can enter.
func TestASocketWithoutARecordDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := command{recordDir: "/nowhere/record"}
	config := wrapper.Config{Spec: spec.Spec{ReadyWhen: spec.ReadyByNotice}, Log: slog.New(slog.DiscardHandler)}
	variables, err := c.notices(&config)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(variables[0].Value)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o755 || filepath.Dir(dir) != os.TempDir() {
		t.Errorf("%s: %v, %v", dir, info.Mode(), err)
	}
	t.Setenv("TMPDIR", "/nowhere")
	if _, err := c.notices(&config); err == nil || !strings.HasSuffix(err.Error(), ": mount a volume at "+spec.RecordDir) {
		t.Errorf("have %v, want the volume to mount", err)
	}
}

func TestVariablesThatNoFileMaySet(t *testing.T) {
	names := []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace, spec.EnvPodIP}
	have := reserved(spec.Default())
	if !slices.Equal(have, names) {
		t.Errorf("have %q, want %q", have, names)
	}
	have = reserved(spec.Spec{ReadyWhen: spec.ReadyByNotice})
	if len(have) != len(names)+1 || !slices.Contains(have, notify.Env) {
		t.Errorf("have %q, want %s too", have, notify.Env)
	}
	if !slices.Equal(ownVariables, names) {
		t.Errorf("the wrapper's own have become %q", ownVariables)
	}
}
