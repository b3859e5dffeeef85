package webhook

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The API server sends its timeout with each request.
func TestAReviewEndsBeforeTheAPIServerGivesUp(t *testing.T) {
	for query, limit := range map[string]time.Duration{
		"?timeout=5s": 4500 * time.Millisecond, "?timeout=30s": 27 * time.Second,
		"": 0, "?timeout=": 0, "?timeout=5": 0, "?timeout=-5s": 0,
	} {
		t.Run(query, func(t *testing.T) {
			called := false
			handler := inTime(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called = true
				deadline, limited := r.Context().Deadline()
				if left := time.Until(deadline); limited != (limit > 0) || left > limit {
					t.Errorf("limited %t, %s left, want %s", limited, left, limit)
				}
			}))
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, podsPath+query, http.NoBody))
			if !called {
				t.Error("the handler was not called")
			}
		})
	}
}
