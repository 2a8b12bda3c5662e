package check

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

var webhookChecks = []Check{
	{
		ID: "webhook-order", Category: "webhooks",
		Title: "Tekgate's mutating webhook is called before Tekton's",
		Needs: "read-access",
		Doc: "The API server calls mutating webhooks in the order of their configurations' names. Tekton's sets serviceAccountName and looks up nothing later, so a configuration of Tekton's that sorts before mutate.tekgate.dev would hide from Tekgate that the author named no ServiceAccount.\n\n" +
			"Only a configuration of Tekton's under another name than its releases use can cause this: rename it.",
		run: webhookOrder,
	},
	{
		ID: "webhook-exclusions", Category: "webhooks",
		Title: "Tekgate's webhooks leave the cluster's own namespaces out",
		Fatal: true, Needs: "read-access",
		Doc: "A webhook that is asked about the namespace that it or Tekton runs in can keep itself from starting again. So kube-system, tekgate, tekton-pipelines and tekton-pipelines-resolvers are left out, and no core kind is matched but labelled Pods and Tekgate's own ConfigMap.\n\n" +
			"Somebody edited the configuration: `tekgate diff` shows the edit, `tekgate install` takes it back.",
		run: webhookExclusions,
	},
	{
		ID: "webhook-failure-policy", Category: "webhooks",
		Title: "a Tekgate that is down cannot hold up what runs",
		Needs: "read-access",
		Doc: "With failurePolicy Fail every request that a webhook is about is refused while the admission server does not answer. That is safe with two ready replicas and a time-out of at most ten seconds. Which webhooks have it is a setting, `install.failurePolicy`; `tekgate install` sets it once the server has answered.\n\n" +
			"Bring the Deployment tekgate-webhook up. `tekgate install` sets what the configuration says: it takes back a change that was made by hand, and goes on where an install ended before the server answered.",
		run: webhookFailurePolicy,
	},
	latencyCheck,
}

// hook is what the checks need of one webhook.
type hook struct {
	name, policy            string
	namespace, service, url string
	bundle                  string
	timeout                 int64
	rules                   []map[string]any
	excluded                []string
	selected                bool // an objectSelector narrows it
	own                     bool // it is about the objects of Tekgate's own namespace
}

func hooks(configuration *unstructured.Unstructured) []hook {
	var all []hook
	for _, w := range live.Maps(configuration.Object, "webhooks") {
		text := func(path ...string) string { return live.Text(w, path...) }
		h := hook{
			name: text("name"), policy: text("failurePolicy"), bundle: text("clientConfig", "caBundle"),
			namespace: text(
				"clientConfig",
				"service",
				"namespace",
			), service: text("clientConfig", "service", "name"), url: text("clientConfig", "url"),
			rules: live.Maps(w, "rules"),
		}
		h.timeout, _, _ = unstructured.NestedInt64(w, "timeoutSeconds")
		for _, expression := range live.Maps(w, "namespaceSelector", "matchExpressions") {
			if expression["key"] == "kubernetes.io/metadata.name" && expression["operator"] == "NotIn" {
				values, _, _ := unstructured.NestedStringSlice(expression, "values")
				h.excluded = append(h.excluded, values...)
			}
		}
		selector, _, _ := unstructured.NestedMap(w, "objectSelector")
		h.selected = len(selector) > 0
		h.own = h.selected && text("namespaceSelector", "matchLabels", "kubernetes.io/metadata.name") == live.Tekgate
		all = append(all, h)
	}
	return all
}

// webhookConfigurations returns all of the cluster.
func webhookConfigurations(ctx context.Context, s *state) ([]*unstructured.Unstructured, error) {
	mutating, err := s.List(ctx, live.Mutating)
	if err != nil {
		return nil, err
	}
	validating, err := s.List(ctx, live.Validating)
	return append(mutating, validating...), err
}

func ownConfigurations(ctx context.Context, s *state) ([]*unstructured.Unstructured, error) {
	var own []*unstructured.Unstructured
	for _, kind := range []schema.GroupVersionKind{live.Mutating, live.Validating} {
		configuration, err := s.Get(ctx, kind, "", live.OwnConfiguration(kind.Kind))
		if err != nil {
			return nil, err
		}
		if configuration != nil {
			own = append(own, configuration)
		}
	}
	return own, nil
}

func webhookOrder(ctx context.Context, s *state) error {
	configurations, err := s.List(ctx, live.Mutating)
	if err != nil {
		return err
	}
	own := live.OwnConfiguration(live.Mutating.Kind)
	var found problems
	for _, configuration := range configurations {
		if configuration.GetName() < own &&
			slices.ContainsFunc(hooks(configuration), func(h hook) bool { return h.namespace == live.Pipelines }) {
			found.add("%s is called before %s", kube.Name(configuration), own)
		}
	}
	return found.err()
}

func webhookExclusions(ctx context.Context, s *state) error {
	own, err := ownConfigurations(ctx, s)
	if err != nil {
		return err
	}
	if len(own) == 0 {
		return skip("Tekgate's webhook configurations do not exist")
	}
	var found problems
	for _, configuration := range own {
		for _, h := range hooks(configuration) {
			for _, namespace := range append([]string{"kube-system"}, live.Namespaces...) {
				if !h.own && !slices.Contains(h.excluded, namespace) {
					found.add("%s: webhook %s is asked about namespace %s", kube.Name(configuration), h.name, namespace)
				}
			}
			for _, rule := range h.rules {
				if core := coreKinds(rule, h); core != "" {
					found.add(
						"%s: webhook %s is asked about %s of the core group",
						kube.Name(configuration),
						h.name,
						core,
					)
				}
			}
		}
	}
	return found.err()
}

// coreKinds returns the core kinds that a rule matches and must not.
func coreKinds(rule map[string]any, h hook) string {
	groups, _, _ := unstructured.NestedStringSlice(rule, "apiGroups")
	resources, _, _ := unstructured.NestedStringSlice(rule, "resources")
	if !slices.Contains(groups, "") && !slices.Contains(groups, "*") {
		return ""
	}
	if h.selected && slices.Equal(resources, []string{"pods"}) ||
		h.own && slices.Equal(resources, []string{"configmaps"}) {
		return ""
	}
	return strings.Join(resources, ", ")
}

func webhookFailurePolicy(ctx context.Context, s *state) error {
	own, err := ownConfigurations(ctx, s)
	if err != nil {
		return err
	}
	var found problems
	for _, configuration := range own {
		for _, h := range hooks(configuration) {
			if h.timeout > 10 {
				found.add(
					"%s: webhook %s may hold up a request for %d seconds",
					kube.Name(configuration),
					h.name,
					h.timeout,
				)
			}
			if wanted := wantsFail(configuration, h.name); wanted && h.policy != "Fail" {
				found.add("%s: webhook %s lets pass what it cannot judge, and is to have failurePolicy Fail",
					kube.Name(configuration), h.name)
			} else if !wanted && h.policy == "Fail" {
				found.add("%s: webhook %s has failurePolicy Fail, which the configuration does not say",
					kube.Name(configuration), h.name)
			}
			if h.policy != "Fail" || h.url != "" {
				continue
			}
			deployment, err := s.Get(ctx, live.Deployment, h.namespace, h.service)
			if err != nil {
				return err
			}
			if have := readyOf(deployment); have < 2 {
				found.add(
					"%s: webhook %s has failurePolicy Fail and %d ready replicas; it needs two",
					kube.Name(configuration),
					h.name,
					have,
				)
			}
		}
	}
	return found.err()
}

// wantsFail reports whether the configuration gives a webhook failurePolicy Fail.
func wantsFail(configuration *unstructured.Unstructured, hook string) bool {
	return slices.Contains(strings.Split(configuration.GetAnnotations()[wellknown.FailKey], ","), hook)
}

func readyOf(deployment *unstructured.Unstructured) int64 {
	if deployment == nil {
		return 0
	}
	have, _ := live.Replicas(deployment)
	return have
}
