package check

import (
	"context"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// kindsWithImages are the workloads that are looked at.
var kindsWithImages = []schema.GroupVersionKind{live.Deployment, live.StatefulSet, live.Pod}

var tekgateChecks = []Check{
	{
		ID: "tekgate-webhook-deployment", Category: "tekgate-webhook",
		Title: "the admission server is ready",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Without it TaskRuns get no credentials and bad EventListeners are accepted; with failurePolicy Fail they are refused altogether.\n\n" +
			"The message says what its Pods wait for; `kubectl -n tekgate logs deploy/tekgate-webhook` says the rest. The question does not arise where the configurations call a URL outside the cluster.",
		run: webhookDeployment,
	},
	{
		ID: "tekgate-webhook-answers", Category: "tekgate-webhook",
		Title: "the admission server answers about a TaskRun",
		Fatal: true, Retry: true, Needs: "pipelines-definitions",
		Doc: "The server is asked to create a TaskRun in the namespace default without keeping it, and it has to come back with the admission server's record. With failurePolicy Ignore nothing else shows that the admission server is not reached.\n\n" +
			"See whether the certificates pass, whether the Service tekgate-webhook has endpoints, and whether a network policy lets the API server in. A namespace that is labelled to opt out is not asked about.",
		run: webhookAnswers,
	},
	{
		ID: "tekgate-interceptor-deployment", Category: "tekgate-interceptor",
		Title: "the interceptor is ready",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Without it every event of a Trigger that uses the interceptor is refused.\n\n" +
			"The message says what its Pods wait for; `kubectl -n tekgate logs deploy/tekgate-interceptor` says the rest. The question does not arise where the ClusterInterceptor names a URL outside the cluster.",
		run: interceptorDeployment,
	},
	{
		ID: "tekgate-interceptor-published", Category: "tekgate-interceptor",
		Title: "the ClusterInterceptor tekgate is published",
		Fatal: true, Retry: true, Needs: "triggers-definitions",
		Doc: "The interceptor writes its ClusterInterceptor itself, its caBundle with it, once it runs and Triggers' kinds are served. EventListeners find it by that.\n\n" +
			"Its log says why it could not.",
		run: interceptorPublished,
	},
}

func webhookDeployment(ctx context.Context, s *state) error {
	configurations, err := ownConfigurations(ctx, s)
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		if slices.ContainsFunc(hooks(configuration), func(h hook) bool { return h.url != "" }) {
			return skip("the webhook configurations call a URL outside the cluster")
		}
	}
	return deploymentReady(ctx, s, wellknown.Webhook)
}

func interceptorDeployment(ctx context.Context, s *state) error {
	published, err := s.Get(ctx, live.ClusterInterceptor, "", "tekgate")
	if err != nil {
		return err
	}
	if published != nil {
		if live.Text(published.Object, "spec", "clientConfig", "url") != "" {
			return skip("the ClusterInterceptor names a URL outside the cluster")
		}
	}
	return deploymentReady(ctx, s, wellknown.Interceptor)
}

func deploymentReady(ctx context.Context, s *state, name string) error {
	deployment, err := s.Get(ctx, live.Deployment, live.Tekgate, name)
	if err != nil {
		return err
	}
	if deployment == nil {
		return problems{"Deployment/" + live.Tekgate + "/" + name + " does not exist: run `tekgate install`"}
	}
	return ready(ctx, s, []*unstructured.Unstructured{deployment})
}

func webhookAnswers(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil || configuration == nil {
		return skip("the configuration, which says what to expect, cannot be read: see the check configuration")
	}
	answered, _, err := answer(ctx, s)
	if err == nil && !answered {
		return errors.New(
			"a TaskRun came back without the admission server's record: it was not asked, or did not answer",
		)
	}
	return err
}

// answer asks the admission server about a TaskRun, and returns whether it did
// answer and the hash of its configuration.
func answer(ctx context.Context, s *state) (answered bool, hash string, err error) {
	run, err := probe(ctx, s)
	if err != nil {
		return false, "", err
	}
	hash, answered = live.Answered(run)
	return answered, hash, nil
}

func interceptorPublished(ctx context.Context, s *state) error {
	published, err := s.Get(ctx, live.ClusterInterceptor, "", "tekgate")
	if err != nil {
		return err
	}
	if published == nil {
		return errors.New("ClusterInterceptor/tekgate does not exist: the interceptor has not written it yet")
	}
	if published.GetLabels()["server/type"] != "https" {
		return errors.New(
			"ClusterInterceptor/tekgate lacks the label server/type=https, so EventListeners do not trust its caBundle",
		)
	}
	return nil
}
