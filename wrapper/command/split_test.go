package command

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// built returns a directory with the small program and the one with the network
// linked in, and with the links to them, as in the image.
func built(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "nethttpomithttp2", "-o", dir+"/", "../../cmd/koordinator", "../../cmd/koordinator-net")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, to := range map[string]string{"cp": spec.NetworkName, "copy": spec.BinaryName} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// call runs a program with a spec and returns its exit code and its output.
func call(t *testing.T, text, path string, args ...string) (code int, printed string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), spec.Env+"="+text)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

// succeeds calls a program that must not fail.
func succeeds(t *testing.T, text, path string, args ...string) {
	t.Helper()
	if code, out := call(t, text, path, args...); code != 0 {
		t.Errorf("%s %q: code %d: %s", path, args, code, out)
	}
}

func TestTheTwoPrograms(t *testing.T) {
	dir := built(t)
	small, full := filepath.Join(dir, spec.BinaryName), filepath.Join(dir, spec.NetworkName)
	asked := 0
	web := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer web.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(web.URL, "https://"), ":")
	inside := `{"exitHTTP":"POST ` + web.URL + `/quit","restart":{"policy":"Never"}}`
	outside := `{"preStop":{"httpGet":{"scheme":"HTTPS","port":` + port + `}}}`
	asks := func(t *testing.T, text, path string, args ...string) {
		t.Helper()
		before := asked
		if code, out := call(t, text, path, args...); code != 0 || asked != before+1 || strings.Contains(out, "ERROR") {
			t.Errorf("%s %q: code %d, asked %d times: %s", path, args, code, asked-before, out)
		}
	}
	t.Run("TLS beside a command", func(t *testing.T) { asks(t, inside, small, "true") })
	t.Run("TLS of a hook", func(t *testing.T) { asks(t, outside, small, "prestop") })
	t.Run("install copies both", func(t *testing.T) {
		target := t.TempDir()
		succeeds(t, "", small, "install", target)
		asks(t, outside, filepath.Join(target, spec.BinaryName), "prestop")
	})
	t.Run("so does copy", func(t *testing.T) {
		target := t.TempDir()
		succeeds(t, "", filepath.Join(dir, "copy"), target)
		asks(t, outside, filepath.Join(target, spec.BinaryName), "prestop")
	})
	t.Run("install without network copies one", func(t *testing.T) {
		target := t.TempDir()
		succeeds(t, "", small, "install", spec.WithoutNetwork, target)
		alone := filepath.Join(target, spec.BinaryName)
		succeeds(t, "", alone, "true")
		if code, out := call(t, outside, alone, "prestop"); code != 1 || !strings.Contains(out, filepath.Join(target, spec.NetworkName)+"): no such file") {
			t.Errorf("code %d: %s", code, out)
		}
		if code, out := call(t, "", alone, "install", t.TempDir()); code != 1 || !strings.Contains(out, spec.NetworkName+": no such file or directory: use ") {
			t.Errorf("install of what is not there: code %d: %s", code, out)
		}
	})
	t.Run("cp copies one that does everything", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "tool")
		succeeds(t, "", filepath.Join(dir, "cp"), "/bin/koordinator", target)
		asks(t, inside, target, "true")
		asks(t, outside, target, "prestop")
	})
	t.Run("the small one is no network program", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), spec.NetworkName)
		if err := os.Symlink(small, link); err != nil {
			t.Fatal(err)
		}
		if code, out := call(t, "", link, spec.RequestTask); code != spec.ExitBadConfig || !strings.Contains(out, "no network support") {
			t.Errorf("code %d: %s", code, out)
		}
	})
	t.Run("the network program has one task", func(t *testing.T) {
		for _, args := range [][]string{nil, {spec.WatchTask, "it"}, {"other"}, {spec.WatchTask}} {
			if code, out := call(t, "", full, args...); code == 0 || !strings.Contains(out, spec.NetworkName) {
				t.Errorf("%q: code %d: %s", args, code, out)
			}
		}
	})
}
