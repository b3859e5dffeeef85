package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLinesOfALog(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 1, 50, time.UTC)
	const kubelet = "2026-07-01T12:00:09.000000000Z "
	const own = "time=2026-07-01T12:00:01.000000050Z level=INFO "
	for text, want := range map[string]Event{
		own + `msg=waiting container=main from=koordinator event=waiting for="proxy to be ready, migrate to succeed"`: {
			At: at, Kind: Waiting, Text: "waiting", For: []string{"proxy to be ready", "migrate to succeed"},
		},
		kubelet + own + `msg="command exited" from=koordinator event=exited exitCode=143`: {At: at, Kind: Exited, Text: "command exited", ExitCode: 143},
		kubelet + own + `msg="stopping command" from=koordinator event=stopping signal=SIGTERM reason="a said \"no\"" stoppedBy=a,b`: {
			At: at, Kind: Stopping, Text: "stopping command", Signal: "SIGTERM", Reason: `a said "no"`, StoppedBy: []string{"a", "b"},
		},
		kubelet + own + `msg="stop request held" from=koordinator event=held for=main,web atMost=20s stoppedBy=SIGTERM`: {
			At: at, Kind: Held, Text: "stop request held", For: []string{"main", "web"}, StoppedBy: []string{"SIGTERM"},
		},
		kubelet + `event=exited exitCode=1 of a command that is not the wrapper`: {
			At: at.Add(8*time.Second - 50), Kind: Output, Text: "event=exited exitCode=1 of a command that is not the wrapper",
		},
		kubelet + `a = b, "c`: {At: at.Add(8*time.Second - 50), Kind: Output, Text: `a = b, "c`},
		kubelet:               {At: at.Add(8*time.Second - 50), Kind: Output},
	} {
		have := Log("", 0, []byte(text+"\n"))
		if diff := cmp.Diff([]Event{want}, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
	}
	if have := Log("main", 0, []byte("without a time\n")); len(have) != 0 {
		t.Errorf("a line without a time became %+v", have)
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(`2026-07-01T12:00:09Z time=x from=koordinator event="a\"b" for=`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, e := range Log("main", 1, text) {
			if e.At.IsZero() || e.Container != "main" || e.Run != 1 {
				t.Errorf("%+v", e)
			}
		}
	})
}
