package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/part"
)

// api sends the few requests that this package needs to the API server, through the forwarder.
type api struct {
	address string
	client  *http.Client
}

// node holds the fields of a Node that show whether it is ready.
type node struct {
	Status struct {
		Conditions []struct{ Type, Status, Message string }
	}
}

// api returns a client with the administrator's certificate.
func (c *Cluster) api(s state) (api, error) {
	authority, err := os.ReadFile(filepath.Join(c.layout.PKI(), "ca.crt"))
	if err != nil {
		return api{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return api{}, errors.New("read ca.crt: no certificate in it")
	}
	admin, err := tls.LoadX509KeyPair(filepath.Join(c.layout.PKI(), "admin.crt"), filepath.Join(c.layout.PKI(), "admin.key"))
	if err != nil {
		return api{}, err
	}
	settings := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{admin}}
	// Without Proxy set, the environment's proxy is not used.
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: settings}}
	return api{address: address(s.Port), client: client}, nil
}

// get reads path, which must exist, into answer. If answer is nil, get checks the status code only.
func (a api) get(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address+path, nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", path, response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// ready returns nil if the node called name is ready, otherwise an error with the reason that the node reports.
func (a api) ready(ctx context.Context, name string) error {
	var n node
	if err := a.get(ctx, "/api/v1/nodes/"+name, &n); err != nil {
		return err
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return nil
		}
		if condition.Type == "Ready" {
			return errors.New(condition.Message)
		}
	}
	return errors.New("the kubelet has not reported yet")
}

// untilUsable waits until pods can be created and run: the nodes are ready and the default
// service account exists.
func (c *Cluster) untilUsable(ctx context.Context, a api, nodes []layout.Node) error {
	for _, node := range nodes {
		if err := c.until(ctx, node, "node "+node.Name, func() error { return a.ready(ctx, node.Name) }); err != nil {
			return err
		}
	}
	return c.until(ctx, c.layout.Node(1), "service account default/default", func() error {
		return a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// until waits until look returns nil. The error contains the end of the log of the node's kubelet.
func (c *Cluster) until(ctx context.Context, node layout.Node, what string, look func() error) error {
	var last error
	err := poll(ctx, func() (bool, error) {
		last = look()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w (%w)\n%s", what, err, last, c.lastWords(part.On(node.Number, part.Kubelet)))
	}
	return nil
}
