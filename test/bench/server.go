package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// server is an API server with one pod, whose two containers run and never change.
type server struct {
	dir string // directory with token and ca.crt
	*httptest.Server
}

// runningPod is the pod of the server.
const runningPod = `{"metadata":{"name":"web-0","uid":"1","resourceVersion":"1"},` +
	`"spec":{"restartPolicy":"Never","containers":[{"name":"a"},{"name":"b"}]},` +
	`"status":{"phase":"Running","containerStatuses":[` +
	`{"name":"a","containerID":"c1","started":true,"ready":true,"state":{"running":{}}},` +
	`{"name":"b","containerID":"c2","started":true,"ready":true,"state":{"running":{}}}]}}`

func newServer(dir string) (*server, error) {
	s := &server{dir: dir, Server: httptest.NewTLSServer(http.HandlerFunc(serve))}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o644); err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(dir, "token"), []byte("secret"), 0o644)
}

// env returns the environment variables that the kubelet sets for the server, and the
// webhook for the pod.
func (s *server) env() []string {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err) // cannot happen: httptest made the URL
	}
	return []string{
		"KUBERNETES_SERVICE_HOST=" + u.Hostname(), "KUBERNETES_SERVICE_PORT=" + u.Port(),
		spec.EnvPodName + "=web-0", spec.EnvPodNamespace + "=shop",
	}
}

// close stops the server and ends every watch.
func (s *server) close() {
	s.CloseClientConnections()
	s.Close()
}

// serve answers a list with the pod, and a watch without events.
func serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprintf(w, `{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[%s]}`, runningPod)
		return
	}
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	<-r.Context().Done()
}
