package wrapper

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/record"
)

func TestACommandIsReadyWhenItSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r := &rig{log: slog.New(slog.NewTextHandler(&log, nil))}
	r.record = newRecord(t, dir)
	says := func(ready bool, trouble string) {
		t.Helper()
		synctest.Wait()
		if p, err := record.Read(dir); err != nil || p.Ready != ready || p.Trouble != trouble {
			t.Errorf("the record has ready %t and trouble %q, %v, want %t and %q", p.Ready, p.Trouble, err, ready, trouble)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r.noticed = make(chan struct{})
		r.run(t, `{"readyWhen":"notify","readyProbes":[{"exec":{"command":["probe"]}}]}`, func() {
			time.Sleep(time.Minute)
			says(false, "no READY=1 on NOTIFY_SOCKET yet")
			close(r.noticed)
			says(true, "")
			r.end(0)
		})
	})
	if want := "event=ready after=1m0s"; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, log.String())
	}
	if len(r.ran) > 0 {
		t.Errorf("%q ran: the probes need not be asked", r.ran)
	}
}
