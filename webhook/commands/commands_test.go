package commands

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/messages"
)

// counting counts the reads of the cluster's secrets.
type counting struct {
	client.Reader

	read *int
}

func (c counting) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	*c.read++
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
}

func TestSecretsAreReadOnceAndNotWithoutEnd(t *testing.T) {
	for name, tt := range map[string]struct{ named, different, want int }{
		"named again": {1000, 2, 2},
		"too many":    {1000, 1000, maxSecrets},
	} {
		t.Run(name, func(t *testing.T) {
			read := 0
			f := &Finder{secrets: counting{read: &read}, log: slog.New(slog.DiscardHandler)}
			var pod corev1.Pod
			for i := range tt.named {
				pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: fmt.Sprint("s", i%tt.different)})
			}
			_, notes := f.keys(t.Context(), &pod, "shop")
			if read != tt.want || tt.want == maxSecrets != strings.Contains(strings.Join(notes, "; "), "only the first 64") {
				t.Errorf("%d were read: %q", read, notes)
			}
		})
	}
}

func TestB11ADryRunLooksUpAFewImagesOnly(t *testing.T) {
	f, err := New(Settings{Lookup: true, Timeout: time.Second}, nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("c%d", i)
		names = append(names, name)
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: fmt.Sprintf("127.0.0.1:%d/app", 1+i/2)}) // each image twice
	}
	for dry, want := range map[bool]int{true: 2 * dryLookups, false: len(names)} {
		asked := 0
		for _, c := range f.Find(t.Context(), &pod, "shop", names, dry) {
			if c.Problem.Code != messages.TooManyDryLookups {
				asked++
			}
		}
		if asked != want {
			t.Errorf("dry run %v: %d containers are looked up, want %d", dry, asked, want)
		}
	}
}
