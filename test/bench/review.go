package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"
)

// connections is the assumed number of connections from an API server to a webhook.
const connections = 8

// reviewed is the released webhook as a process of its own, on at most one processor.
type reviewed struct {
	cluster *emptyCluster
	command *exec.Cmd
	log     bytes.Buffer
	url     string
	client  *http.Client
}

// newReviewed starts the webhook and waits until it answers. registry is the HOST:PORT of a
// registry without TLS.
func newReviewed(binary, dir, registry string) (*reviewed, error) {
	cluster, err := newEmptyCluster()
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf(`{"clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`, cluster.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &reviewed{cluster: cluster, url: fmt.Sprintf("https://127.0.0.1:%d/mutate-pods", port)}
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: cluster.ca, ServerName: webhookHost}, MaxIdleConnsPerHost: connections,
	}}
	r.command = exec.Command(binary, "--port", strconv.Itoa(port), "--health-address", "127.0.0.1:0", "--metrics-address", "0",
		"--leader-elect=false", "--namespace", webhookNamespace, "--wrapper-image", "koordinator/wrapper:bench",
		"--registry-plain-http", registry, "--pull-secrets=false")
	r.command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "GOMAXPROCS=1", "KUBE_FEATURE_WatchListClient=false", "NO_PROXY=*")
	r.command.Stderr = &r.log
	if err := r.command.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = r.ask([]byte(`{}`)); err == nil {
			return r, nil
		}
	}
	log := r.close()
	return nil, fmt.Errorf("the webhook does not answer: %w; its log: %s", err, log)
}

// close stops the webhook, and returns its log.
func (r *reviewed) close() string {
	r.command.Process.Kill()
	r.command.Wait() // an error: the process was killed
	r.cluster.close()
	return r.log.String()
}

// ask sends a review and reads the answer, whatever it is.
func (r *reviewed) ask(review []byte) error {
	_, err := r.answer(review)
	return err
}

func (r *reviewed) answer(review []byte) ([]byte, error) {
	resp, err := r.client.Post(r.url, "application/json", bytes.NewReader(review))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// allows returns an error unless the answer to a review allows the pod, with or without a
// patch as expected.
func (r *reviewed) allows(review []byte, patch bool) error {
	text, err := r.answer(review)
	if err != nil {
		return err
	}
	var have struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if err := json.Unmarshal(text, &have); err != nil {
		return err
	}
	if !have.Response.Allowed || patch != (len(have.Response.Patch) > 0) {
		return fmt.Errorf("the webhook answers %.500s", text)
	}
	return nil
}

// atRate sends a review perSecond times a second, for a duration. It returns how long each
// answer took, measured from the time at which the review was due.
func (r *reviewed) atRate(review []byte, perSecond int, during time.Duration) (series, error) {
	step, n := time.Second/time.Duration(perSecond), int(during.Seconds()*float64(perSecond))
	begin := time.Now()
	return r.many(n, func(i int) (time.Duration, error) {
		due := begin.Add(time.Duration(i) * step)
		time.Sleep(time.Until(due))
		err := r.ask(review)
		return time.Since(due), err
	})
}

// many calls once n times, spread over all connections.
func (r *reviewed) many(n int, once func(i int) (time.Duration, error)) (series, error) {
	took := make(series, n)
	errs := make([]error, connections)
	var wait sync.WaitGroup
	for k := range connections {
		wait.Go(func() {
			for i := k; i < n && errs[k] == nil; i += connections {
				took[i], errs[k] = once(i)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// used returns the processor time that the webhook has used.
func (r *reviewed) used() (time.Duration, error) { return processTime(r.command.Process.Pid) }

// reviewOf returns the review of a new pod, as an API server sends it.
func reviewOf(pod any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
		"request": map[string]any{
			"uid":  "705ab4f5-6393-11e8-b7cc-42010a800002",
			"kind": map[string]string{"group": "", "version": "v1", "kind": "Pod"}, "resource": map[string]string{"group": "", "version": "v1", "resource": "pods"},
			"namespace": "shop", "operation": "CREATE", "object": pod, "oldObject": nil, "dryRun": false,
			"userInfo": map[string]any{"username": "system:serviceaccount:kube-system:job-controller", "groups": []string{"system:serviceaccounts", "system:authenticated"}},
			"options":  map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
}

// typicalPod returns the pod of one of the webhook's golden cases: of a Job with a database proxy.
func typicalPod() (map[string]any, error) {
	archive, err := txtar.ParseFile("webhook/admission/testdata/inject/job-with-proxy.txtar")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "pod.yaml" })
	var pod map[string]any
	return pod, yaml.Unmarshal(archive.Files[i].Data, &pod)
}
