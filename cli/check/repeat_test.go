package check

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAWaitEndsWithTheFirstReportWithoutErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		report, err := Repeat(t.Context(), time.Minute, func() (Report, error) {
			asked++
			var r Report
			switch asked {
			case 1:
				return r, errors.New("the API server does not answer")
			case 2:
				r.section("s").bad("not yet", "")
			default:
				r.section("s").warn("well", "")
			}
			return r, nil
		})
		if err != nil || report.Count(Error) > 0 || asked != 3 || time.Since(began) != 2*pause {
			t.Errorf("%v, %v after %d reports and %s", report, err, asked, time.Since(began))
		}
	})
}

func TestAWaitEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		report, err := Repeat(t.Context(), 3*pause, func() (Report, error) {
			var r Report
			r.section("s").bad("never", "")
			return r, nil
		})
		if err != nil || report.Count(Error) != 1 || time.Since(began) > 3*pause {
			t.Errorf("%v, %v after %s", report, err, time.Since(began))
		}
	})
}

func TestNothingIsRepeatedWithoutAWait(t *testing.T) {
	asked := 0
	if _, err := Repeat(t.Context(), 0, func() (Report, error) { asked++; return Report{}, errors.New("no") }); err == nil || asked != 1 {
		t.Errorf("%v after %d reports", err, asked)
	}
}
