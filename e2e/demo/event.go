package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	triggers "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newSecret() string { return rand.Text() }

// giteeToken is the value of X-Gitee-Token in Gitee's sign mode: the base64 of
// the HMAC-SHA256 of timestamp, newline and secret, keyed with the secret. It
// does not use the interceptor's code, which it is to check.
func giteeToken(secret, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (d *demo) deliverSigned(ctx context.Context) error {
	verdict, err := d.deliver(ctx, d.secret)
	if err != nil {
		return err
	}
	if !verdict.Continue {
		return fmt.Errorf("the interceptor refused a signed event: %s", verdict.Status.Message)
	}
	d.say("the event may continue, with extensions %v", verdict.Extensions)
	return nil
}

func (d *demo) deliverForged(ctx context.Context) error {
	verdict, err := d.deliver(ctx, "a guess")
	if err != nil {
		return err
	}
	if verdict.Continue {
		return errors.New("the interceptor let a forged event pass")
	}
	d.say("the event stops here: %s: %s", verdict.Status.Code, verdict.Status.Message)
	return nil
}

// deliver signs a push with a secret and sends it to the interceptor, with the
// parameters that Tekton's EventListener would use.
func (d *demo) deliver(ctx context.Context, secret string) (*triggers.InterceptorResponse, error) {
	body, err := fill("objects/push.json", nil)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	request, err := json.Marshal(triggers.InterceptorRequest{
		Body: string(body),
		Header: http.Header{
			"Content-Type":      {"application/json"},
			"X-Gitee-Event":     {"Push Hook"},
			"X-Gitee-Timestamp": {timestamp},
			"X-Gitee-Token":     {giteeToken(secret, timestamp)},
		},
		InterceptorParams: map[string]any{
			"provider":  "gitee",
			"mode":      "sign",
			"secretRef": map[string]any{"secretName": "gitee-webhook", "secretKey": "secretToken"},
		},
		Context: &triggers.TriggerContext{
			EventURL: "/", EventID: rand.Text(), TriggerID: "namespaces/default/triggers/git-trigger1",
		},
	})
	if err != nil {
		return nil, err
	}
	return d.ask(ctx, request)
}

// ask posts a request to the URL in the ClusterInterceptor, and trusts only its
// CA.
func (d *demo) ask(ctx context.Context, body []byte) (*triggers.InterceptorResponse, error) {
	interceptor := clusterInterceptor()
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(interceptor), interceptor); err != nil {
		return nil, err
	}
	url, _, err := unstructured.NestedString(interceptor.Object, "spec", "clientConfig", "url")
	if err != nil {
		return nil, err
	}
	bundle, err := base64.StdEncoding.DecodeString(caBundle(interceptor))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the interceptor answered %s: %s", response.Status, text)
	}
	verdict := &triggers.InterceptorResponse{}
	return verdict, json.Unmarshal(text, verdict)
}
