package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

var tektonChecks = []Check{
	{
		ID: "pipelines-definitions", Category: "tekton-pipelines",
		Title: "the kinds of Tekton Pipelines are served",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Without its CustomResourceDefinitions there is no Tekton Pipelines.\n\n" +
			"Run `tekgate install`. Where a definition is there and not Established, `kubectl describe crd NAME` says which other definition has taken its names.",
		run: definitions("tasks.tekton.dev", "taskruns.tekton.dev", "pipelines.tekton.dev", "pipelineruns.tekton.dev"),
	},
	{
		ID: "pipelines-deployments", Category: "tekton-pipelines",
		Title: "the Deployments of Tekton Pipelines are ready",
		Fatal: true, Retry: true, Needs: "pipelines-definitions",
		Doc: "A controller that does not run starts nothing, and a webhook that does not run refuses everything.\n\n" +
			"The message says why a Pod waits. If its image cannot be pulled, the mirror lacks it or asks for a password (`tekgate credentials pull`); if no Pod is there, `kubectl describe replicaset` in that namespace says why.",
		run: deploymentsOf("tekton-pipelines", live.Pipelines, live.Resolvers),
	},
	{
		ID: "pipelines-webhooks", Category: "tekton-pipelines",
		Title: "the webhooks of Tekton Pipelines are registered",
		Fatal: true, Retry: true, Needs: "pipelines-definitions",
		Doc: "Tekton's webhook Pod itself writes rules and caBundle into its configurations when it starts. Until then objects pass unchecked and without defaults.\n\n" +
			"See that the Deployment tekton-pipelines-webhook is ready; its log says what it may not write. An empty configuration after an upgrade was overwritten by a tool that replaces objects.",
		run: registered(live.Pipelines, "tekton-pipelines-webhook"),
	},
	{
		ID: "pipelines-answer", Category: "tekton-pipelines",
		Title: "a TaskRun is accepted and gets its defaults",
		Fatal: true, Retry: true, Needs: "pipelines-webhooks",
		Doc: "The server is asked to create a TaskRun in the namespace default without keeping it. It passes all webhooks on the way, those of other products too.\n\n" +
			"The message names the webhook that failed or refused. If it does not answer, see whether the Service that its configuration names has ready Pods and whether a network policy keeps the API server away; if it does not support dry runs, its configuration lacks sideEffects: None.",
		run: taskRunAccepted,
	},
	{
		ID: "pipelines-stored-versions", Category: "tekton-pipelines",
		Title: "nothing is stored in a version that is no longer served",
		Needs: "pipelines-definitions",
		Doc: "A definition remembers every version that objects were ever stored in. A later release that drops one of them is refused by the server.\n\n" +
			"`tekgate install` rewrites stored objects and then forgets the old version.",
		run: storedVersions,
	},
	{
		ID: "triggers-definitions", Category: "tekton-triggers",
		Title: "the kinds of Tekton Triggers are served",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Without its CustomResourceDefinitions there is no Tekton Triggers: no event starts anything.\n\nRun `tekgate install`.",
		run: definitions(
			"eventlisteners.triggers.tekton.dev",
			"triggers.triggers.tekton.dev",
			"triggerbindings.triggers.tekton.dev",
			"triggertemplates.triggers.tekton.dev",
			"clusterinterceptors.triggers.tekton.dev",
		),
	},
	{
		ID: "triggers-deployments", Category: "tekton-triggers",
		Title: "the Deployments of Tekton Triggers are ready",
		Fatal: true, Retry: true, Needs: "triggers-definitions",
		Doc: "Without its controller no EventListener gets a Pod; without the core interceptors no EventListener starts.\n\nSee pipelines-deployments.",
		run: deploymentsOf("tekton-triggers", live.Pipelines),
	},
	{
		ID: "triggers-webhooks", Category: "tekton-triggers",
		Title: "the webhooks of Tekton Triggers are registered",
		Fatal: true, Retry: true, Needs: "triggers-definitions",
		Doc: "Triggers' webhook Pod writes rules and caBundle into its configurations when it starts.\n\nSee that the Deployment tekton-triggers-webhook is ready, and pipelines-webhooks.",
		run: registered(live.Pipelines, "tekton-triggers-webhook"),
	},
}

// definitions asks whether CustomResourceDefinitions are there and served.
func definitions(names ...string) func(context.Context, *state) error {
	return func(ctx context.Context, s *state) error {
		var found problems
		for _, name := range names {
			crd, err := s.Get(ctx, live.Definition, "", name)
			switch {
			case err != nil:
				return err
			case crd == nil:
				found.add("CustomResourceDefinition/%s does not exist: run `tekgate install`", name)
			case !conditionTrue(crd, "Established"):
				found.add("%s is not established", kube.Name(crd))
			}
		}
		return found.err()
	}
}

func conditionTrue(obj *unstructured.Unstructured, kind string) bool {
	return slices.ContainsFunc(live.Maps(obj.Object, "status", "conditions"), func(c map[string]any) bool {
		return c["type"] == kind && c["status"] == "True"
	})
}

// deploymentsOf asks whether the Deployments of a component are ready.
func deploymentsOf(partOf string, namespaces ...string) func(context.Context, *state) error {
	return func(ctx context.Context, s *state) error {
		all, err := s.In(ctx, live.Deployment, namespaces...)
		if err != nil {
			return err
		}
		deployments := slices.DeleteFunc(all, func(d *unstructured.Unstructured) bool {
			return d.GetLabels()["app.kubernetes.io/part-of"] != partOf
		})
		if len(deployments) == 0 {
			return fmt.Errorf(
				"there is no Deployment with the label app.kubernetes.io/part-of=%s in namespace %s: run `tekgate install`",
				partOf,
				strings.Join(namespaces, " or "),
			)
		}
		return ready(ctx, s, deployments)
	}
}

// ready says which Deployments are not, and what their Pods wait for.
func ready(ctx context.Context, s *state, deployments []*unstructured.Unstructured) error {
	var found problems
	for _, d := range deployments {
		have, want := live.Replicas(d)
		if have >= want && want > 0 {
			continue
		}
		if want == 0 {
			found.add("%s is scaled to 0 replicas", kube.Name(d))
			continue
		}
		why, err := waitingFor(ctx, s, d)
		if err != nil {
			return err
		}
		found.add("%s has %d of %d replicas ready%s", kube.Name(d), have, want, why)
	}
	return found.err()
}

// waitingFor says what the first Pod of a Deployment that waits, waits for.
func waitingFor(ctx context.Context, s *state, deployment *unstructured.Unstructured) (string, error) {
	selector, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	pods, err := s.List(ctx, live.Pod, client.InNamespace(deployment.GetNamespace()), client.MatchingLabels(selector))
	if err != nil {
		return "", err
	}
	for _, pod := range pods {
		statuses := slices.Concat(
			live.Maps(pod.Object, "status", "initContainerStatuses"),
			live.Maps(pod.Object, "status", "containerStatuses"))
		for _, status := range statuses {
			reason, message := live.Text(
				status,
				"state",
				"waiting",
				"reason",
			), live.Text(
				status,
				"state",
				"waiting",
				"message",
			)
			if reason != "" && reason != "ContainerCreating" && reason != "PodInitializing" {
				return fmt.Sprintf(
					": Pod %s: %s of image %v: %s",
					pod.GetName(),
					reason,
					status["image"],
					firstLine(message),
				), nil
			}
		}
		for _, condition := range live.Maps(pod.Object, "status", "conditions") {
			if condition["type"] == "PodScheduled" && condition["status"] == "False" {
				return fmt.Sprintf(": Pod %s: %v", pod.GetName(), condition["message"]), nil
			}
		}
	}
	if len(pods) == 0 {
		return ": it has no Pods", nil
	}
	return "", nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// registered asks whether the configurations that call a Service have rules and
// a caBundle.
func registered(namespace, service string) func(context.Context, *state) error {
	return func(ctx context.Context, s *state) error {
		configurations, err := webhookConfigurations(ctx, s)
		if err != nil {
			return err
		}
		var found problems
		seen := 0
		for _, configuration := range configurations {
			for _, hook := range hooks(configuration) {
				if hook.namespace != namespace || hook.service != service {
					continue
				}
				seen++
				if hook.bundle == "" {
					found.add(
						"%s: webhook %s has no caBundle: %s has not written it yet",
						kube.Name(configuration),
						hook.name,
						service,
					)
				}
				if len(hook.rules) == 0 {
					found.add(
						"%s: webhook %s has no rules: %s has not written them yet",
						kube.Name(configuration),
						hook.name,
						service,
					)
				}
			}
		}
		if seen == 0 {
			return fmt.Errorf("no webhook configuration calls Service %s/%s: run `tekgate install`", namespace, service)
		}
		return found.err()
	}
}

// probe asks the server what would become of a TaskRun.
func probe(ctx context.Context, s *state) (*unstructured.Unstructured, error) {
	kind, served, err := s.Served(live.TaskRun)
	if err != nil {
		return nil, err
	}
	if !served {
		return nil, errors.New("the server does not serve TaskRuns: see the check pipelines-definitions")
	}
	run := live.ProbeRun(kind.Version)
	if err := s.Try(ctx, run); err != nil {
		return nil, fmt.Errorf("a TaskRun in namespace %s would be refused: %w", live.ProbeNamespace, err)
	}
	return run, nil
}

func taskRunAccepted(ctx context.Context, s *state) error {
	run, err := probe(ctx, s)
	if err != nil {
		return err
	}
	if live.Text(run.Object, "spec", "serviceAccountName") == "" {
		return fmt.Errorf(
			"a TaskRun came back without a serviceAccountName, which Tekton's webhook would have set: it was not asked",
		)
	}
	return nil
}

func storedVersions(ctx context.Context, s *state) error {
	crds, err := s.List(ctx, live.Definition)
	if err != nil {
		return err
	}
	var found problems
	for _, crd := range crds {
		group := live.Text(crd.Object, "spec", "group")
		if group != "tekton.dev" && !strings.HasSuffix(group, ".tekton.dev") {
			continue
		}
		stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
		for _, version := range stored {
			if !serves(crd, version) {
				found.add("%s may hold objects that are stored as %s, which it does not serve", kube.Name(crd), version)
			}
		}
	}
	return found.err()
}

func serves(crd *unstructured.Unstructured, version string) bool {
	return slices.ContainsFunc(live.Maps(crd.Object, "spec", "versions"), func(v map[string]any) bool {
		return v["name"] == version && v["served"] == true
	})
}
