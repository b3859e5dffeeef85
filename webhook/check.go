package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/certificate"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkCommand is the argument that makes the program check an installation, as
// "helm test" does, instead of serving.
const checkCommand = "check"

// samplePod is a pod that the webhook must inject.
const samplePod = `{"apiVersion": "v1", "kind": "Pod",
  "metadata": {"name": "check", "annotations": {"koordinator.io/start-deps": "main: proxy"}},
  "spec": {"containers": [
    {"name": "main", "image": "none", "command": ["true"]},
    {"name": "proxy", "image": "none", "command": ["true"]}]}}`

// selfCheck sends a pod to an installed webhook in the same way as the API
// server: through its service, and with the CA bundle of the webhook
// configuration. It writes the result, whether good or bad, to out.
func selfCheck(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("webhook check", flag.ContinueOnError)
	f.SetOutput(out)
	host := f.String("host", "", "IP address or name of the webhook's service")
	service := f.String("service", "koordinator", "name of the webhook's service")
	namespace := f.String("namespace", os.Getenv("POD_NAMESPACE"), "namespace of the webhook's service (environment: POD_NAMESPACE)")
	configuration := f.String("configuration", "koordinator", "MutatingWebhookConfiguration with the CA bundle that the API server trusts")
	switch err := parseAll(f, args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	err := required(map[string]string{"--host": *host, "--namespace": *namespace})
	if err == nil {
		err = checkInstalled(ctx, *configuration, serviceAddress(*host), dnsName(*service, *namespace))
	}
	if err != nil {
		fmt.Fprintln(out, "webhook check:", err)
		return err
	}
	fmt.Fprintln(out, "the webhook answers at its service with a certificate that the API server trusts, and injects an annotated pod")
	return nil
}

// required returns an error for the first of these flags that has no value.
func required(flags map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if flags[name] == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

// serviceAddress returns the address of the webhook's service at a host, which may be an
// IPv6 address without brackets.
func serviceAddress(host string) string { return net.JoinHostPort(host, "443") }

func checkInstalled(ctx context.Context, configuration, address, name string) error {
	api, err := apiServer()
	if err != nil {
		return err
	}
	reader, err := client.New(api, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	roots, err := certificate.Roots(ctx, reader, configuration)
	if err != nil {
		return err
	}
	return askAbout(ctx, address, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: name})
}

// askAbout sends the sample pod to the webhook at an address and checks the answer.
func askAbout(ctx context.Context, address string, trust *tls.Config) error {
	question, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "check", Operation: admissionv1.Create, DryRun: new(true),
			Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Object:   runtime.RawExtension{Raw: []byte(samplePod)},
		},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+podsPath, bytes.NewReader(question))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	caller := http.Client{Transport: &http.Transport{TLSClientConfig: trust}, Timeout: 10 * time.Second}
	resp, err := caller.Do(req)
	if err != nil {
		return fmt.Errorf("ask the webhook: %w", err)
	}
	defer resp.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(resp.Body).Decode(&review); err != nil {
		return fmt.Errorf("read the webhook's answer, %s: %w", resp.Status, err)
	}
	switch answer := review.Response; {
	case answer == nil:
		return errors.New("the webhook's answer is empty")
	case !answer.Allowed:
		var reason string
		if answer.Result != nil {
			reason = answer.Result.Message
		}
		return fmt.Errorf("the webhook refuses a good pod: %s", reason)
	case !bytes.Contains(answer.Patch, []byte(spec.Env)):
		return errors.New("the webhook wraps no container of an annotated pod")
	}
	return nil
}
