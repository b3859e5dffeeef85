package webhook

import (
	"context"
	"net/http"
	"time"
)

// timeoutParameter is the query parameter with which the API server says how long
// it waits for an answer: the timeoutSeconds of the webhook configuration, or
// less if the request itself has less time left.
const timeoutParameter = "timeout"

// inTime gives the handler nine tenths of the time for which the API server waits.
// A review that looks up images is then answered according to the settings, also
// if a registry hangs for longer than the API server waits.
func inTime(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := time.ParseDuration(r.URL.Query().Get(timeoutParameter))
		if err != nil || limit <= 0 {
			h.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit/10*9)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}
