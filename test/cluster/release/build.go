package release

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// quiet is the time between two progress messages of a build.
const quiet = 10 * time.Second

// build builds the commands of b into the directory out. It writes go's output to log, and
// its own progress to progress.
func (b bundle) build(ctx context.Context, out string, log, progress io.Writer) error {
	work, err := os.MkdirTemp("", "koordinator-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(progress, "%s: downloading the source\n", b.folder())
	goMod, err := b.goMod(ctx, work)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "go.mod"), goMod, 0o644); err != nil {
		return err
	}
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-tags", b.tags, "-ldflags", b.linkerFlags(), "-o", out + "/"}
	for _, command := range b.commands {
		args = append(args, path.Join(b.module, command))
	}
	return compile(ctx, work, args, b.folder(), log, progress)
}

// goMod gets the go.mod of b's module from the module proxy, and turns it into the go.mod
// for the build.
func (b bundle) goMod(ctx context.Context, work string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", b.module+"@"+b.version)
	cmd.Dir, cmd.Env = work, goEnv()
	// On failure, go writes the reason into the JSON output, and nothing to stderr.
	output, runErr := cmd.Output()
	var module struct{ GoMod, Error string }
	if err := json.Unmarshal(output, &module); err != nil {
		return nil, fmt.Errorf("download %s@%s: %w", b.module, b.version, runErr)
	}
	if module.Error != "" {
		return nil, fmt.Errorf("download %s@%s: %s", b.module, b.version, module.Error)
	}
	raw, err := os.ReadFile(module.GoMod)
	if err != nil {
		return nil, err
	}
	return buildModule(raw, b.module, b.version)
}

// linkerFlags omits symbols, which halves the size of the programs, and sets b's variables.
func (b bundle) linkerFlags() string {
	flags := []string{"-s", "-w"}
	for _, name := range slices.Sorted(maps.Keys(b.variables)) {
		flags = append(flags, "-X", name+"="+b.variables[name])
	}
	return strings.Join(flags, " ")
}

// goEnv returns the caller's environment without the variables that would affect the programs.
func goEnv() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod", "GO111MODULE=on")
}

// compile runs go with args in the directory work and reports progress on title, so that a
// build of minutes does not seem to hang.
func compile(ctx context.Context, work string, args []string, title string, log, progress io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = work, goEnv()
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	start := time.Now()
	fmt.Fprintf(progress, "%s: building\n", title)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", title, err)
	}
	var last atomic.Value
	last.Store("the build starts")
	var packages atomic.Int64
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(quiet):
				elapsed := time.Since(start).Round(time.Second)
				fmt.Fprintf(progress, "%s: building for %s, %d packages so far, now %s\n", title, elapsed, packages.Load(), last.Load())
			}
		}
	}()
	var tail bytes.Buffer
	for lines := bufio.NewScanner(io.TeeReader(output, log)); lines.Scan(); {
		line := lines.Text()
		last.Store(strings.TrimPrefix(line, "go: "))
		if strings.HasPrefix(line, "go: ") || strings.ContainsAny(line, " \t") {
			tail.WriteString(line + "\n")
			continue
		}
		packages.Add(1) // go build -v prints one package on each line
	}
	_, _ = io.Copy(log, output) // the rest after a line of more than 64 KiB; otherwise go would block
	err = cmd.Wait()
	close(done)
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", title, err, lastLines(tail.String(), 15))
	}
	fmt.Fprintf(progress, "%s: built in %s\n", title, time.Since(start).Round(time.Second))
	return nil
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
