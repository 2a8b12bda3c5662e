package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// api sends requests to an API server over kept HTTP/1.1 connections. It returns answers
// as bytes, because decoding them is not to be measured.
type api struct {
	caller *http.Client
	host   string
}

// connections are kept, twice as many as the largest load uses.
const connections = 256

func newAPI(config *rest.Config) (*api, error) {
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the client's certificate: %w", err)
	}
	settings.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{
		TLSClientConfig: settings, MaxIdleConns: connections, MaxIdleConnsPerHost: connections,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	caller := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	return &api{caller: caller, host: strings.TrimSuffix(config.Host, "/")}, nil
}

// send returns the answer and the time until all of it was received. An answer other than
// 2xx is an error with the API server's message.
func (a *api) send(
	ctx context.Context, method, path, contentType string, body []byte,
) ([]byte, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.host+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", "application/json")
	began := time.Now()
	response, err := a.caller.Do(request)
	if err != nil {
		return nil, time.Since(began), err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err != nil {
		return nil, took, err
	}
	if response.StatusCode/100 != 2 {
		var status struct{ Message string }
		_ = json.Unmarshal(answer, &status) // if it is no Status, the code says enough
		return answer, took, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, status.Message)
	}
	return answer, took, nil
}

// create creates an object of a resource, such as apis/tekton.dev/v1/taskruns, in a
// Namespace, with dryRun=All.
func (a *api) create(
	ctx context.Context, resource, namespace string, object []byte,
) ([]byte, time.Duration, error) {
	return a.send(ctx, http.MethodPost, collection(resource, namespace)+"?dryRun=All", "application/json", object)
}

// collection is the path of a resource in a Namespace.
func collection(resource, namespace string) string {
	at := strings.LastIndexByte(resource, '/')
	return "/" + resource[:at] + "/namespaces/" + namespace + resource[at:]
}
