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

// poster sends requests to an API server over kept HTTP/1.1 connections, one for each
// that is under way, and reads the answers as bytes: what it takes to make a Go value
// of an object is not measured.
type poster struct {
	caller *http.Client
	host   string
}

// connections are kept, of which the largest load uses a half.
const connections = 256

func newPoster(config *rest.Config) (*poster, error) {
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the client's certificate: %w", err)
	}
	settings.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{
		TLSClientConfig: settings, MaxIdleConns: connections, MaxIdleConnsPerHost: connections,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	return &poster{caller: &http.Client{Transport: transport, Timeout: 30 * time.Second}, host: strings.TrimSuffix(config.Host, "/")}, nil
}

// send returns the answer and how long it took until all of it was there. An answer
// that is no success is an error, with the API server's words.
func (p *poster) send(ctx context.Context, method, path, contentType string, body []byte) ([]byte, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.host+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", "application/json")
	began := time.Now()
	response, err := p.caller.Do(request)
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
		_ = json.Unmarshal(answer, &status) // where it is no Status, its code says enough
		return answer, took, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, status.Message)
	}
	return answer, took, nil
}

// create creates an object of the resource, such as apis/tekton.dev/v1/taskruns, in a
// Namespace, without its being stored.
func (p *poster) create(ctx context.Context, resource, namespace string, object []byte) ([]byte, time.Duration, error) {
	return p.send(ctx, http.MethodPost, collection(resource, namespace)+"?dryRun=All", "application/json", object)
}

// collection is the path of a resource in a Namespace.
func collection(resource, namespace string) string {
	at := strings.LastIndexByte(resource, '/')
	return "/" + resource[:at] + "/namespaces/" + namespace + resource[at:]
}
