package pod

import (
	"os"
	"path/filepath"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// TestA9AnExecutionThatFails uses a database in exec mode whose command has a missing
// interpreter, and an app that starts after it.
func TestA9AnExecutionThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	inPlace := func(s *spec.Spec) { s.Mode = spec.ExecMode }
	for _, condition := range []string{"db=started", "db"} {
		t.Run(condition, func(t *testing.T) {
			for range 10 {
				s := newStory(t)
				app := s.container("app", "echo app >>$LOG", startAfter(condition))
				s.waits(app)
				db := spec.Default()
				db.Container, db.Source, db.Restart.Policy = "db", spec.SourceLocal, spec.RestartNever
				db.Wrapped = []string{"first"}
				startAfter("first=exited")(&db)
				inPlace(&db)
				failing := start(t, s.Pod, Container{Name: "db", Command: []string{file}, Spec: db.Encode()})
				s.waits(failing)
				s.container("first", "exit 0")
				exits(t, failing, spec.ExitNotFound)
				exits(t, app, spec.ExitUnsatisfiable)
				s.want("")
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("one that succeeds", func(t *testing.T) {
		s := newStory(t)
		app := s.container("app", "echo app >>$LOG", startAfter("db"))
		s.waits(app)
		s.container("db", "echo db >>$LOG; exec sleep 1000", startAfter("first=exited"), inPlace)
		s.container("first", "exit 0")
		exits(t, app, 0)
		s.until("db")
		s.until("app")
	})
}
