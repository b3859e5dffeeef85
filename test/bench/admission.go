package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Aims for the webhook: in process, over TLS, and for memory in KiB.
const (
	inProcessAim = 60 * time.Microsecond
	overTLSAim   = 5 * time.Millisecond
	webhookAim   = 64 << 10
)

// reviewRate is the number of reviews per second that the webhook receives over TLS.
const reviewRate = 500

// manyReviews is the number of reviews that the webhook answers before its memory is read.
const manyReviews = 100_000

// admission measures the webhook: first its handler without a server, then the released
// program as a process over TLS, both on one processor.
func (b *bench) admission() ([]row, error) {
	rows, err := b.inProcess()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, "webhook")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/webhook")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the webhook: %w\n%s", err, out)
	}
	images, err := newImages(b.runs(1000))
	if err != nil {
		return nil, err
	}
	defer images.Close()
	r, err := newReviewed(binary, b.dir, images.host)
	if err != nil {
		return nil, err
	}
	for _, measure := range []func(*reviewed) ([]row, error){b.overTLS, images.lookedUp, b.afterMany} {
		more, err := measure(r)
		if err != nil {
			log := r.close()
			return nil, fmt.Errorf("%w; the webhook's log: %.4000s", err, log)
		}
		rows = append(rows, more...)
	}
	r.close()
	return rows, nil
}

// overTLS sends reviews of the typical pod at a fixed rate, and reviews of a pod without
// annotations as fast as possible.
func (b *bench) overTLS(r *reviewed) ([]row, error) {
	pod, err := typicalPod()
	if err != nil {
		return nil, err
	}
	review, err := reviewOf(pod)
	if err != nil {
		return nil, err
	}
	if err := r.allows(review, true); err != nil {
		return nil, err
	}
	if _, err := r.atRate(review, reviewRate, time.Second); err != nil { // warm-up, not counted
		return nil, err
	}
	before, err := r.used()
	if err != nil {
		return nil, err
	}
	during := time.Duration(b.runs(20)) * time.Second
	took, err := r.atRate(review, reviewRate, during)
	if err != nil {
		return nil, err
	}
	after, err := r.used()
	if err != nil {
		return nil, err
	}
	return []row{{
		fmt.Sprintf("admission over TLS, %d a second, one processor", reviewRate),
		fmt.Sprintf("p50 %s, p99 %s, worst of %d %s", ms(took.median()), ms(took.at(0.99)), len(took), ms(took.worst())),
		fmt.Sprintf("the processor is %.0f %% busy", 100*(after-before).Seconds()/during.Seconds()),
		"p99 ≤ " + ms(overTLSAim), took.at(0.99) <= overTLSAim,
	}}, nil
}

// afterMany sends reviews as fast as possible, and then reads the memory.
func (b *bench) afterMany(r *reviewed) ([]row, error) {
	pod, err := typicalPod()
	if err != nil {
		return nil, err
	}
	typical, err := reviewOf(pod)
	if err != nil {
		return nil, err
	}
	delete(pod["metadata"].(map[string]any), "annotations")
	unasked, err := reviewOf(pod)
	if err != nil {
		return nil, err
	}
	if err := r.allows(unasked, false); err != nil {
		return nil, err
	}
	n := b.runs(manyReviews)
	unaskedEach, err := r.each(n/5, unasked)
	if err != nil {
		return nil, err
	}
	each, err := r.each(n-n/5, typical)
	if err != nil {
		return nil, err
	}
	u, err := read(r.command.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []row{
		{what: "processor time of a review over TLS", ours: perReview(each), against: "a pod without annotations: " + perReview(unaskedEach)},
		{fmt.Sprintf("resident, webhook after %d reviews", n), u.String(), "", fmt.Sprintf("≤ %d MiB", webhookAim>>10), u.resident <= webhookAim},
	}, nil
}

// each returns the processor time of one review, from a run of n.
func (r *reviewed) each(n int, review []byte) (time.Duration, error) {
	before, err := r.used()
	if err != nil {
		return 0, err
	}
	if _, err := r.many(n, func(int) (time.Duration, error) { return 0, r.ask(review) }); err != nil {
		return 0, err
	}
	after, err := r.used()
	return (after - before) / time.Duration(n), err
}

// perReview formats a processor time, with the number of reviews per second on one processor.
func perReview(each time.Duration) string {
	return fmt.Sprintf("%s, %d a second and processor", us(each), time.Second/max(1, each))
}

// us formats a duration in microseconds for the table.
func us(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}
