package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tekgate/tekgate/e2e/baseline"
)

// Options configure a server.
type Options struct {
	// Config is the text of Tekgate's configuration, and Program the path of its
	// admission server. The others have fixed policies, and are built into the cache.
	Config, Program string
	// Identity is the certificate of servers that do not make their own.
	Identity *Identity
	// Log gets messages about slow steps.
	Log io.Writer
}

// Caller returns a client that uses HTTP/1.1 and trusts only the given CA, or every server
// if ca is nil. Without keep, each request opens a new connection.
func Caller(ca []byte, keep bool) *http.Client {
	trust := &tls.Config{NextProtos: []string{"http/1.1"}, InsecureSkipVerify: ca == nil}
	if ca != nil {
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM(ca)
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   trust,
		DisableKeepAlives: !keep, MaxIdleConnsPerHost: 128,
	}}
}

// Answer has the fields of an AdmissionReview that the benchmarks need.
type Answer struct {
	Response struct {
		Allowed bool   `json:"allowed"`
		Patch   []byte `json:"patch"`
		Status  struct {
			Message string `json:"message"`
		} `json:"status"`
	} `json:"response"`
}

// Ask sends a review and returns the answer with its bytes.
func Ask(ctx context.Context, caller *http.Client, url string, review []byte) (Answer, []byte, error) {
	var answer Answer
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(review))
	if err != nil {
		return answer, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(req)
	if err != nil {
		return answer, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer, nil, err
	}
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 1 {
		return answer, nil, fmt.Errorf("got %s over %s", res.Status, res.Proto)
	}
	return answer, text, json.Unmarshal(text, &answer)
}

// works waits until the server does the whole job to the TaskRun of the benchmarks, and
// sets Ready.
func (s *Server) works(ctx context.Context, url string) error {
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return err
	}
	return s.answers(ctx, url, review, Job()...)
}

// Job returns the texts in the patch of each candidate that does the job.
func Job() []string {
	return []string{baseline.ServiceAccount, baseline.Mirror + "/", baseline.Variable, baseline.Value}
}

// answers waits until the patch for a review contains the given texts, and sets Ready.
func (s *Server) answers(ctx context.Context, url string, review []byte, parts ...string) error {
	caller := Caller(s.CA, true)
	defer caller.CloseIdleConnections()
	err := s.await(ctx, "does its job at "+url, func(ctx context.Context) error {
		answer, _, err := Ask(ctx, caller, url, review)
		if err != nil {
			return err
		}
		for _, part := range parts {
			if !answer.Response.Allowed || !bytes.Contains(answer.Response.Patch, []byte(part)) {
				return fmt.Errorf("its patch lacks %q: allowed is %v, %s %s",
					part, answer.Response.Allowed, answer.Response.Status.Message, answer.Response.Patch)
			}
		}
		return nil
	})
	s.setReady()
	return err
}

// setReady sets Ready when it is called for the first time.
func (s *Server) setReady() {
	if s.Ready == 0 {
		s.Ready = time.Since(s.began)
	}
}

// orStop stops the server if there is an error.
func (s *Server) orStop(err error) (*Server, error) {
	if err == nil {
		return s, nil
	}
	s.Stop()
	return nil, err
}
