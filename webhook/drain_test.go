package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainEndsConnectionsBeforeTheServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drain
		asked, ask := context.WithCancel(t.Context())
		serving, stop := d.context(asked, 10*time.Second)
		defer stop()
		ends := func() bool {
			answer := httptest.NewRecorder()
			d.wrap(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, podsPath, nil))
			return answer.Header().Get("Connection") == "close"
		}
		if d.ready(nil) != nil || ends() {
			t.Error("drains before it was asked to")
		}
		ask()
		synctest.Wait()
		if d.ready(nil) == nil || !ends() {
			t.Error("does not drain")
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if serving.Err() != nil {
			t.Error("the server ends too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if serving.Err() == nil {
			t.Error("the server does not end")
		}
	})
}
