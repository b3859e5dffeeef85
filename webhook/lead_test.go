package webhook

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
)

func TestLeadersWorkBeginsAgainUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		terms := 0
		again(ctx, slog.New(slog.DiscardHandler), "leader's work", func(context.Context) error {
			if terms++; terms == 3 {
				stop()
			}
			return errors.New("lease lost")
		})
		if terms != 3 {
			t.Errorf("%d terms, want 3", terms)
		}
	})
}

// TestB16ATermThatHangsEndsWithinThePodsGracePeriod covers parts of a term that
// hang in calls without an answer. The lease is released when they have ended or
// their time is over. That must happen well within the grace period of the pod.
func TestB16ATermThatHangsEndsWithinThePodsGracePeriod(t *testing.T) {
	resign := leaderOptions(options{}).GracefulShutdownTimeout
	if resign == nil || *resign <= 0 || *resign > shutdownTimeout/3 {
		t.Errorf("a term may take %v to end, admission %v", resign, shutdownTimeout)
	}
}
