package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/e2e/servers"
)

// The arms of these benchmarks besides those that all have.
const (
	armNone   = "no admission"
	armJudged = "tekgate with validation" // the validating webhooks of an installation beside the mutating ones
	armPolicy = "MutatingAdmissionPolicy" // made of the same configuration
)

// space is the Namespace of an arm.
func space(arm string) string {
	return "bench-" + strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(arm))
}

// addOurs starts our server and registers its mutating webhooks for some arms, and its
// validating ones for others.
func (p *plane) addOurs(ctx context.Context, b *bed, mutated, judged []string) (*servers.Replica, error) {
	replica, err := p.tekgate(ctx, b)
	if err != nil {
		return nil, err
	}
	return replica, p.register(ctx, replica.Address, mutated, judged)
}

// addNull serves the patch that a replica of ours makes of an object of the kind.
func (p *plane) addNull(ctx context.Context, ours *servers.Replica, kind, resource string, object []byte) error {
	bundle, err := servers.Bundle(ctx, p.client, "MutatingWebhookConfiguration", "mutate.tekgate.dev")
	if err != nil {
		return err
	}
	patch, err := ask(ctx, "https://"+ours.Address+"/mutate", bundle, reviewOf(kind, resource, space(armOurs), object))
	if err != nil {
		return fmt.Errorf("asking our server for its patch: %w", err)
	}
	address, ca, err := startNull(ctx, &p.cleanup, patch)
	if err != nil {
		return err
	}
	to := map[string]any{"url": "https://" + address + "/", "caBundle": base64.StdEncoding.EncodeToString(ca)}
	return p.registerPeer(ctx, armNull, "null.bench.tekgate.dev", to, "tekton.dev", resource[strings.LastIndexByte(resource, '/')+1:])
}

// reviewOf is what the API server sends about a new object.
func reviewOf(kind, resource, namespace string, object []byte) []byte {
	plural := resource[strings.LastIndexByte(resource, '/')+1:]
	of := map[string]any{"group": "tekton.dev", "version": "v1", "kind": kind}
	in := map[string]any{"group": "tekton.dev", "version": "v1", "resource": plural}
	return encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{
		"uid": "u", "operation": "CREATE", "namespace": namespace, "kind": of, "requestKind": of, "resource": in, "requestResource": in,
		"userInfo": map[string]any{"username": "admin"}, "object": json.RawMessage(object),
	}})
}

// ask sends a review to a webhook and returns the patch of the answer.
func ask(ctx context.Context, url string, bundle, review []byte) ([]byte, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer caller.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(review))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := caller.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || !answer.Response.Allowed || len(answer.Response.Patch) == 0 {
		return nil, errors.Join(err, fmt.Errorf("the answer has no patch: %.200s", text))
	}
	return answer.Response.Patch, nil
}

// addPolicies installs what `tekgate export map` makes of the job, for one Namespace.
func (p *plane) addPolicies(ctx context.Context, b *bed) error {
	config, err := p.write("exported.yaml", jobConfig)
	if err != nil {
		return err
	}
	program, err := b.build(ctx, "tekgate")
	if err != nil {
		return err
	}
	export := exec.CommandContext(ctx, program, "export", "map", "--strict", "--config", config, "-o", "json")
	var problems bytes.Buffer
	export.Stderr = &problems
	text, err := export.Output()
	if err != nil {
		return fmt.Errorf("exporting policies: %w\n%s", err, problems.String())
	}
	var exported struct {
		Objects []*unstructured.Unstructured `json:"objects"`
	}
	if err := json.Unmarshal(text, &exported); err != nil {
		return fmt.Errorf("reading the exported policies: %w", err)
	}
	for _, object := range exported.Objects {
		if constraints, found, _ := unstructured.NestedMap(object.Object, "spec", "matchConstraints"); found {
			limitTo(constraints, armPolicy)
			if err := unstructured.SetNestedMap(object.Object, constraints, "spec", "matchConstraints"); err != nil {
				return err
			}
		}
		if err := p.client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// changed returns once what is created in an arm comes back with all traces of the
// job, and, for the arm without admission, at once with none.
func (p *plane) changed(ctx context.Context, arm, resource string, object []byte) error {
	return eventually(ctx, "arm "+arm+" does its job", func() error {
		answer, _, err := p.post.create(ctx, resource, space(arm), object)
		if err != nil {
			return err
		}
		return done(arm, answer)
	})
}

// done says why an answer is not what the arm has to make of the object.
func done(arm string, answer []byte) error {
	want := arm != armNone
	for _, trace := range jobTraces {
		if bytes.Contains(answer, []byte(trace)) != want {
			return fmt.Errorf("arm %s: what was created has %s: %v, want %v", arm, trace, !want, want)
		}
	}
	return nil
}

// alike holds that what arms make of an object is the same but for the Namespace, what
// is never the same, and the order of variables: policies are evaluated in none.
func (p *plane) alike(ctx context.Context, resource string, object []byte, arms ...string) error {
	var first []byte
	for _, arm := range arms {
		answer, _, err := p.post.create(ctx, resource, space(arm), object)
		if err != nil {
			return err
		}
		var fields map[string]any
		if err := json.Unmarshal(answer, &fields); err != nil {
			return err
		}
		sortVariables(fields["spec"])
		metadata, _ := fields["metadata"].(map[string]any)
		spec := encode([]any{fields["spec"], metadata["labels"], metadata["annotations"]})
		if first == nil {
			first = spec
		}
		if !bytes.Equal(spec, first) {
			return fmt.Errorf("arms %s and %s make different things of one object:\n%s\n%s", arms[0], arm, first, spec)
		}
	}
	return nil
}

func sortVariables(value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			sortVariables(element)
		}
	case map[string]any:
		for key, element := range value {
			sortVariables(element)
			if list, ok := element.([]any); ok && key == "env" {
				slices.SortFunc(list, func(a, b any) int { return bytes.Compare(encode(a), encode(b)) })
			}
		}
	}
}
