package check

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

var componentChecks = []Check{
	{
		ID: "components-deployments", Category: "components",
		Title: "the Deployments of the other components are ready",
		Retry: true, Needs: "pipelines-definitions",
		Doc: "These are those of the Dashboard, Chains, Results, the Pruner and the Manual Approval Gate, where they are installed. Pipelines runs without them.\n\n" +
			"The message says why a Pod waits. The API of Results does not become ready without its PostgreSQL database and the Secrets tekton-results-postgres and tekton-results-tls: see [components](components.md).",
		run: componentDeployments,
	},
	{
		ID: "components-webhooks", Category: "components",
		Title: "the webhooks of the other components are registered",
		Retry: true, Needs: "pipelines-definitions",
		Doc: "The Pruner's webhook judges its ConfigMaps, and the Manual Approval Gate's the ApprovalTasks. Each writes its caBundle into its configuration when it starts; until then the API server refuses what it should judge.\n\n" +
			"See that the Deployment that the message names is ready; its log says what it may not write.",
		run: componentWebhooks,
	},
	{
		ID: "components-signing-key", Category: "components",
		Title: "Tekton Chains has a key to sign with",
		Needs: "pipelines-definitions",
		Doc: "Chains starts without a key, and then signs nothing and only logs it.\n\n" +
			"Make one with `cosign generate-key-pair k8s://tekton-chains/signing-secrets`, or name a key management service in ConfigMap tekton-chains/chains-config.",
		run: signingKey,
	},
}

// componentParts are the values of app.kubernetes.io/part-of of the other components.
var componentParts = []string{"tekton-dashboard", "tekton-chains", "tekton-results", "tekton-pruner",
	"openshift-pipelines-manual-approval-gates"}

// components returns the Deployments of the other components. The webhook of the Manual
// Approval Gate has no label that says so.
func components(ctx context.Context, s *state) ([]*unstructured.Unstructured, error) {
	all, err := s.In(ctx, live.Deployment, slices.Concat(live.Namespaces, live.ComponentNamespaces)...)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(d *unstructured.Unstructured) bool {
		return !slices.Contains(componentParts, d.GetLabels()["app.kubernetes.io/part-of"]) &&
			d.GetName() != "manual-approval-gate-webhook"
	})
	if len(found) == 0 {
		return nil, skip("no other component is installed")
	}
	return found, nil
}

func componentDeployments(ctx context.Context, s *state) error {
	found, err := components(ctx, s)
	if err != nil {
		return err
	}
	return ready(ctx, s, found)
}

// componentServices are the Services of the webhooks, by the Deployment behind each.
var componentServices = map[string]string{
	"tekton-pruner-webhook": "tekton-pruner-webhook", "manual-approval-gate-webhook": "manual-approval-webhook",
}

func componentWebhooks(ctx context.Context, s *state) error {
	found, err := components(ctx, s)
	if err != nil {
		return err
	}
	var wrong problems
	asked := false
	for _, deployment := range found {
		service, ok := componentServices[deployment.GetName()]
		if !ok {
			continue
		}
		asked = true
		if err := registered(deployment.GetNamespace(), service)(ctx, s); err != nil {
			wrong = append(wrong, strings.Split(err.Error(), "\n")...)
		}
	}
	if !asked {
		return skip("no component with a webhook is installed")
	}
	return wrong.err()
}

func signingKey(ctx context.Context, s *state) error {
	controller, err := s.Get(ctx, live.Deployment, "tekton-chains", "tekton-chains-controller")
	if err != nil {
		return err
	}
	if controller == nil {
		return skip("Tekton Chains is not installed")
	}
	secret, err := s.Get(ctx, live.Secret, "tekton-chains", "signing-secrets")
	if err != nil {
		return err
	}
	config, err := s.Get(ctx, live.ConfigMap, "tekton-chains", "chains-config")
	if err != nil {
		return err
	}
	if installer.Signs(secret, config) {
		return nil
	}
	var found problems
	found.add("%s signs nothing: Secret/tekton-chains/signing-secrets has neither cosign.key nor x509.pem: "+
		"`cosign generate-key-pair k8s://tekton-chains/signing-secrets` makes a key", kube.Name(controller))
	return found.err()
}
