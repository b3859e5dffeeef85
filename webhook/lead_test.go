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
		lead(ctx, slog.New(slog.DiscardHandler), func(_ context.Context, number int) error {
			if terms++; number != terms {
				t.Errorf("term %d is called %d", terms, number)
			}
			if number == 3 {
				stop()
			}
			return errors.New("lease lost")
		})
		if terms != 3 {
			t.Errorf("%d terms, want 3", terms)
		}
	})
}
