package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/regclient/regclient"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/ref"
)

// regctl is what regctl and regsync do. The library shows nobody what it will send, so a
// registry without a network records it.
func regctl(q question) ([]string, error) {
	r, err := ref.New(q.Image)
	if err != nil {
		return nil, err
	}
	seen := &recorder{}
	client := regclient.New(
		regclient.WithDockerCreds(),
		regclient.WithRegOpts(
			reg.WithHTTPClient(&http.Client{Transport: seen}),
			reg.WithRetryLimit(1),
		),
	)
	_, err = client.ManifestHead(context.Background(), r)
	if err == nil || !seen.asked {
		return nil, errors.Join(errors.New("the registry was not asked for a token"), err)
	}
	return []string{sent(seen.user, seen.password, seen.token)}, nil
}

// recorder is a registry that gives anyone a token and has no image.
type recorder struct {
	asked                 bool
	user, password, token string
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{
		StatusCode: http.StatusNotFound, Header: http.Header{}, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader("")),
	}
	switch {
	case req.URL.Path == "/token":
		r.record(req)
		resp.StatusCode = http.StatusOK
		resp.Header.Set("Content-Type", "application/json")
		resp.Body = io.NopCloser(strings.NewReader(`{"token":"t","access_token":"t","expires_in":600}`))
	case req.Header.Get("Authorization") == "":
		resp.StatusCode = http.StatusUnauthorized
		resp.Header.Set("WWW-Authenticate", `Bearer realm="`+req.URL.Scheme+"://"+req.URL.Host+`/token",service="s"`)
	}
	return resp, nil
}

func (r *recorder) record(req *http.Request) {
	r.asked = true
	if user, password, ok := req.BasicAuth(); ok {
		r.user, r.password = user, password
	}
	if req.Body == nil {
		return
	}
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if form, err := url.ParseQuery(string(text)); err == nil {
		r.token = form.Get("refresh_token")
	}
}
