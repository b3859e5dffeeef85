package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

// mesh acts as a mesh's proxy: it is ready after two seconds, serves /rows on port 8080,
// and ends after a request to quit.
func mesh() error {
	ready := time.Now().Add(2 * time.Second)
	http.HandleFunc("GET /healthz/ready", func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(ready) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("GET /rows", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "rows") })
	http.HandleFunc("POST /quitquitquit", func(http.ResponseWriter, *http.Request) {
		fmt.Println("was asked to quit")
		time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) }) // sends the answer first
	})
	failed := make(chan error)
	for _, port := range []string{":15021", ":15020", ":8080"} {
		go func() { failed <- http.ListenAndServe(port, nil) }()
	}
	return <-failed
}

// review holds the fields of an AdmissionReview that the mesh's webhook needs.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		UID    string
		Object struct {
			Spec struct{ Containers []struct{ Name string } }
		}
	} `json:"request,omitempty"`
	Response map[string]any `json:"response,omitempty"`
}

// injectProxy runs the mesh's webhook: it appends the proxy to pods that lack it. dir
// contains its certificate.
func injectProxy(dir string) error {
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var in review
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Request == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer := map[string]any{"uid": in.Request.UID, "allowed": true}
		for _, c := range in.Request.Object.Spec.Containers {
			if c.Name == "istio-proxy" {
				in.Request.Object.Spec.Containers = nil
				break
			}
		}
		if in.Request.Object.Spec.Containers != nil {
			answer["patchType"] = "JSONPatch"
			answer["patch"] = []byte(`[{"op":"add","path":"/spec/containers/-","value":{"name":"istio-proxy","image":"shop:1","imagePullPolicy":"Never","args":["mesh"]}}]`)
		}
		_ = json.NewEncoder(w).Encode(review{APIVersion: in.APIVersion, Kind: in.Kind, Response: answer})
	})
	fmt.Println("the mesh's webhook serves")
	return http.ListenAndServeTLS(":8443", dir+"/tls.crt", dir+"/tls.key", nil)
}
