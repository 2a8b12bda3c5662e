package installer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
)

// waitAsked waits until the API server asks Tekgate's admission server, and gets an
// answer. That its configurations are written and their server runs is not enough:
// the API server hears of both a moment later, as does what routes to the Service, and
// until then failurePolicy Ignore lets every TaskRun pass as it is. Of several API
// servers the one that answers this client is seen.
//
// Configurations that name a URL are not waited for: that server is no part of the
// install and may be started after it.
func (r *run) waitAsked(ctx context.Context, changes []*Change) error {
	if err := r.waitBundles(ctx, changes); err != nil {
		return err
	}
	for _, change := range changes {
		obj := change.Desired
		if obj.GetName() != live.OwnConfiguration(obj.GetKind()) || !namesService(obj) {
			continue
		}
		ask := r.asksAboutConfiguration
		if obj.GetKind() == live.Mutating.Kind {
			ask = r.asksAboutRuns
		}
		err := r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
			why, err := ask(ctx)
			if why != "" {
				why = fmt.Sprintf("the API server to ask Tekgate's admission server by %s (%s)", name(obj), why)
			}
			return why, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func namesService(configuration *unstructured.Unstructured) bool {
	return slices.ContainsFunc(webhooksOf(configuration), func(webhook map[string]any) bool {
		_, found, _ := unstructured.NestedMap(webhook, "clientConfig", "service")
		return found
	})
}

// asksAboutRuns has a TaskRun created without keeping it: it comes back with the record
// of the admission server. Nothing can be seen where there are no TaskRuns yet, where
// the namespace is labelled to opt out, and where somebody else refuses the TaskRun.
func (r *run) asksAboutRuns(ctx context.Context) (missing string, err error) {
	definition, err := r.live(ctx, named(live.Definition, "taskruns.tekton.dev"))
	if err != nil || definition == nil {
		return "", err
	}
	left, err := r.leavesOut(ctx)
	if err != nil || left {
		return "", err
	}
	// In the version that is stored, so that nobody has to convert it.
	run := live.ProbeRun(storageVersion(definition))
	if missing, err = unanswered(r.client.Create(ctx, run, client.DryRunAll, client.FieldOwner(FieldManager))); missing != "" || err != nil {
		return missing, ignoreRefusal(err)
	}
	if _, answered := live.Answered(run); !answered {
		return "a TaskRun comes back without its record", nil
	}
	return "", nil
}

// leavesOut reports whether Tekgate's configuration leaves out the namespace of the
// TaskRun that is created without keeping it.
func (r *run) leavesOut(ctx context.Context) (bool, error) {
	namespace, err := r.live(ctx, named(live.Namespace, live.ProbeNamespace))
	if err != nil || namespace == nil {
		return true, ignoreForbidden(err)
	}
	configuration, err := r.live(ctx, named(live.Mutating, live.OwnConfiguration(live.Mutating.Kind)))
	if err != nil || configuration == nil {
		return true, err
	}
	for _, webhook := range webhooksOf(configuration) {
		var typed metav1.LabelSelector
		written, _, _ := unstructured.NestedMap(webhook, "namespaceSelector")
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(written, &typed); err != nil {
			return true, fmt.Errorf("reading the namespaceSelector of %s: %w", name(configuration), err)
		}
		selector, err := metav1.LabelSelectorAsSelector(&typed)
		if err != nil {
			return true, fmt.Errorf("reading the namespaceSelector of %s: %w", name(configuration), err)
		}
		if selector.Matches(labels.Set(namespace.GetLabels())) {
			return false, nil
		}
	}
	return true, nil
}

// configurationWebhook judges Tekgate's own ConfigMap, whatever rules are on.
const configurationWebhook = "configuration.validate.tekgate.dev"

// asksAboutConfiguration has Tekgate's ConfigMap created without a configuration in it,
// and without keeping it: the admission server refuses that. Who is not asked lets it
// pass, or finds that it is there already.
func (r *run) asksAboutConfiguration(ctx context.Context) (missing string, err error) {
	empty := named(live.ConfigMap, "tekgate-config")
	empty.SetNamespace(Namespace)
	empty.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekgate"})
	missing, err = unanswered(r.client.Create(ctx, empty, client.DryRunAll, client.FieldOwner(FieldManager)))
	switch {
	case missing != "":
		return missing, nil
	case err == nil || apierrors.IsAlreadyExists(err):
		return configurationWebhook + " lets pass what it should refuse", nil
	}
	return "", ignoreRefusal(err)
}

// unanswered takes from the error of a dry run those that say that some server does not
// answer yet, which is what is missing then.
func unanswered(err error) (missing string, left error) {
	if err == nil {
		return "", nil
	}
	if strings.Contains(err.Error(), "failed calling webhook") || meta.IsNoMatchError(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) {
		return err.Error(), nil
	}
	return "", err
}

// ignoreRefusal forgets an error by which the API server, or a webhook, refuses a
// request: it did answer.
func ignoreRefusal(err error) error {
	var refused apierrors.APIStatus
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

func named(kind schema.GroupVersionKind, objectName string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	obj.SetName(objectName)
	return obj
}
