package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// job is the object that is created in the Namespaces of all candidates.
type job struct {
	resource string // taskRuns or pipelineRuns
	object   map[string]any
	body     []byte
}

func newJob(resource string, object map[string]any) job { return job{resource, object, encode(object)} }

// plural is the name of the resource without its API version.
func (j job) plural() string { return j.resource[strings.LastIndexByte(j.resource, '/')+1:] }

// create creates the object of a job in a candidate's Namespace, and checks the result.
func (p *controlPlane) create(ctx context.Context, candidate string, j job) (time.Duration, error) {
	answer, took, err := p.api.create(ctx, j.resource, namespace(candidate), j.body)
	if err == nil {
		err = checkJob(candidate, answer)
	}
	return took, err
}

// creator returns create for inTurn.
func (p *controlPlane) creator(j job) func(ctx context.Context, candidate string) (time.Duration, error) {
	return func(ctx context.Context, candidate string) (time.Duration, error) { return p.create(ctx, candidate, j) }
}

// works waits until candidates do their job.
func (p *controlPlane) works(ctx context.Context, j job, candidates ...string) error {
	for _, candidate := range candidates {
		err := eventually(ctx, candidate+" does its job", func() error {
			_, err := p.create(ctx, candidate, j)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addTekgate starts the admission server, registers it, and waits until it works.
func (p *controlPlane) addTekgate(
	ctx context.Context, e *environment, j job, mutated, validated []string,
) (*servers.Replica, error) {
	replica, err := p.startTekgate(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := p.registerTekgate(ctx, replica.Address, mutated, validated); err != nil {
		return nil, err
	}
	return replica, p.works(ctx, j, tekgate)
}

// addNull registers a null handler with the patch that a replica of Tekgate makes.
func (p *controlPlane) addNull(ctx context.Context, e *environment, replica *servers.Replica, j job) error {
	bundle, err := p.bundle(ctx)
	if err != nil {
		return err
	}
	kind, _ := j.object["kind"].(string)
	review, err := baseline.ReviewOf(j.object,
		metav1.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: kind}, j.plural())
	if err != nil {
		return err
	}
	answer, err := askTekgate(ctx, bundle, "https://"+replica.Address+"/mutate", review)
	if err != nil {
		return err
	}
	s, err := startBaseline(ctx, null, answer, peers.Options{Identity: e.identity, Log: e.log})
	if err != nil {
		return err
	}
	p.add(s.Stop)
	to := map[string]any{"url": s.URL, "caBundle": base64.StdEncoding.EncodeToString(s.CA)}
	return p.registerPeer(ctx, peerWebhook{
		candidate: null, name: "null.bench.tekgate.dev", to: to, group: "tekton.dev", resource: j.plural(),
	})
}

// bundle returns the caBundle of Tekgate's mutating webhooks.
func (p *controlPlane) bundle(ctx context.Context) ([]byte, error) {
	return servers.Bundle(ctx, p.client, "MutatingWebhookConfiguration", wellknown.MutatingConfiguration)
}

// addPolicies installs what `tekgate export map` makes of the job's configuration.
func (p *controlPlane) addPolicies(ctx context.Context, e *environment) error {
	config, err := p.writeFile("exported.yaml", jobConfig)
	if err != nil {
		return err
	}
	program, err := e.build(ctx, "tekgate")
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
			limitTo(constraints, admissionPolicy)
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

// checkSame returns an error unless candidates make the same of the job's object, apart
// from names, times and the order of variables, which policies do not define.
func (p *controlPlane) checkSame(ctx context.Context, j job, candidates ...string) error {
	var first []byte
	for _, candidate := range candidates {
		answer, _, err := p.api.create(ctx, j.resource, namespace(candidate), j.body)
		if err != nil {
			return err
		}
		var fields map[string]any
		if err := json.Unmarshal(answer, &fields); err != nil {
			return err
		}
		sortVariables(fields["spec"])
		metadata, _ := fields["metadata"].(map[string]any)
		result := encode([]any{fields["spec"], metadata["labels"], metadata["annotations"]})
		if first == nil {
			first = result
		}
		if !bytes.Equal(result, first) {
			return fmt.Errorf("%s and %s change the same object differently:\n%s\n%s",
				candidates[0], candidate, first, result)
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

// owners waits until each candidate's Namespace has its own webhooks and no others, by
// counting the API server's calls. It returns the candidate of each webhook.
func (p *controlPlane) owners(ctx context.Context, j job, candidates ...string) (owner map[string]string, err error) {
	err = eventually(ctx, "each candidate has webhooks of its own", func() error {
		owner = map[string]string{}
		for _, candidate := range candidates {
			called, err := p.calledFor(ctx, j, candidate)
			if err != nil {
				return err
			}
			for _, name := range called {
				if candidate == noAdmission || candidate == admissionPolicy || owner[name] != "" {
					return fmt.Errorf("the webhook %s is called for %s and for %q", name, candidate, owner[name])
				}
				owner[name] = candidate
			}
		}
		return nil
	})
	return owner, err
}

// calledFor returns the webhooks that are called for each object of a candidate.
func (p *controlPlane) calledFor(ctx context.Context, j job, candidate string) (called []string, err error) {
	const times = 5
	before, err := p.webhookCalls(ctx)
	if err != nil {
		return nil, err
	}
	for range times {
		if _, err := p.create(ctx, candidate, j); err != nil {
			return nil, err
		}
	}
	after, err := p.webhookCalls(ctx)
	if err != nil {
		return nil, err
	}
	for name, now := range after {
		if now.count-before[name].count >= times {
			called = append(called, name)
		}
	}
	return called, nil
}
