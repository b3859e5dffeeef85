package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	imagename "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// images is an in-process registry with many images.
type images struct {
	*httptest.Server

	host  string // HOST:PORT
	names []string
	asked atomic.Int64 // number of requests
}

// newImages starts a registry with n different images.
func newImages(n int) (*images, error) {
	address, err := ownAddress()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, err
	}
	s := &images{host: listener.Addr().String()}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		inner.ServeHTTP(w, r)
	}))
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	for i := range n {
		text := fmt.Sprintf("%s/team/app-%d:1", s.host, i)
		ref, err := imagename.ParseReference(text, imagename.Insecure)
		if err != nil {
			return nil, err
		}
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
			OS: "linux", Architecture: "amd64", Config: v1.Config{Entrypoint: []string{fmt.Sprintf("/app-%d", i)}},
		})
		if err != nil {
			return nil, err
		}
		if err := remote.Write(ref, image); err != nil {
			return nil, fmt.Errorf("push %s: %w", text, err)
		}
		s.names = append(s.names, text)
	}
	return s, nil
}

// ownAddress returns an address of this machine other than loopback, because the webhook
// contacts no registry on loopback.
func ownAddress() (string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address but the loopback one, at which no registry is looked for: give it one, as ip address add 192.168.77.1/32 dev lo")
}

// lookedUp sends reviews of a pod with each image, twice.
func (s *images) lookedUp(r *reviewed) ([]row, error) {
	var rounds []string
	for _, round := range []string{"first", "again"} {
		before := s.asked.Load()
		took, err := s.each(r)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, fmt.Sprintf("p50 %s, p99 %s, %d requests to the registry (%s)",
			ms(took.median()), ms(took.at(0.99)), s.asked.Load()-before, round))
	}
	return []row{{
		what: fmt.Sprintf("admission over TLS, %d images looked up", len(s.names)), ours: rounds[1], against: rounds[0],
	}}, nil
}

// each sends a review of a pod with each image, one after another.
func (s *images) each(r *reviewed) (series, error) {
	var took series
	for _, image := range s.names {
		pod, err := typicalPod()
		if err != nil {
			return nil, err
		}
		main := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
		main["image"] = image
		delete(main, "command")
		review, err := reviewOf(pod)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := r.allows(review, true); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
