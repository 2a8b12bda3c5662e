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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
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
		configuration := change.Desired
		if configuration.GetName() != live.OwnConfiguration(configuration.GetKind()) ||
			!slices.ContainsFunc(live.Maps(configuration.Object, "webhooks"), callsService) {
			continue
		}
		ask, err := r.question(ctx, configuration)
		if err != nil {
			return err
		}
		err = r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
			why, err := ask(ctx)
			if why != "" {
				why = fmt.Sprintf(
					"the API server to ask Tekgate's admission server by %s (%s)",
					kube.Name(configuration),
					why,
				)
			}
			return why, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// question returns what shows whether the API server asks by a configuration: it says
// what is missing. Of the one about runs nothing can be seen where there are no TaskRuns
// yet, nor where the namespace is labelled to opt out.
func (r *run) question(
	ctx context.Context,
	configuration *unstructured.Unstructured,
) (ask func(context.Context) (missing string, err error), err error) {
	if configuration.GetKind() != live.Mutating.Kind {
		return r.asksAboutConfiguration, nil
	}
	unseen := func(context.Context) (string, error) { return "", nil }
	definition, err := r.Get(ctx, live.Definition, "", "taskruns.tekton.dev")
	if err != nil || definition == nil {
		return unseen, err
	}
	if left, err := r.leavesOut(ctx, configuration); err != nil || left {
		return unseen, err
	}
	// In the version that is stored, so that nobody has to convert it.
	version := manifest.StorageKind(definition).Version
	return func(ctx context.Context) (string, error) { return r.asksAboutRuns(ctx, version) }, nil
}

// leavesOut reports whether a configuration of Tekgate's leaves out the namespace of the
// TaskRun that is created without keeping it.
func (r *run) leavesOut(ctx context.Context, configuration *unstructured.Unstructured) (bool, error) {
	namespace, err := r.Get(ctx, live.Namespace, "", live.ProbeNamespace)
	if err != nil || namespace == nil {
		return true, ignoreForbidden(err)
	}
	for _, webhook := range live.Maps(configuration.Object, "webhooks") {
		var typed metav1.LabelSelector
		written, _, _ := unstructured.NestedMap(webhook, "namespaceSelector")
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(written, &typed); err != nil {
			return true, fmt.Errorf("reading the namespaceSelector of %s: %w", kube.Name(configuration), err)
		}
		selector, err := metav1.LabelSelectorAsSelector(&typed)
		if err != nil {
			return true, fmt.Errorf("reading the namespaceSelector of %s: %w", kube.Name(configuration), err)
		}
		if selector.Matches(labels.Set(namespace.GetLabels())) {
			return false, nil
		}
	}
	return true, nil
}

// asksAboutRuns has a TaskRun created without keeping it: it comes back with the record
// of the admission server. Where somebody else refuses it, nothing can be seen.
func (r *run) asksAboutRuns(ctx context.Context, version string) (missing string, err error) {
	run := live.ProbeRun(version)
	refused := r.client.Create(ctx, run, client.DryRunAll, client.FieldOwner(FieldManager))
	if missing, err = unanswered(refused); missing != "" || err != nil {
		return missing, ignoreRefusal(err)
	}
	if _, answered := live.Answered(run); !answered {
		return "a TaskRun comes back without its record", nil
	}
	return "", nil
}

// asksAboutConfiguration has Tekgate's ConfigMap created without a configuration in it,
// and without keeping it: the admission server refuses that. Who is not asked lets it
// pass, or finds that it is there already.
func (r *run) asksAboutConfiguration(ctx context.Context) (missing string, err error) {
	empty := NewObject(live.ConfigMap, Namespace, wellknown.ConfigMap)
	empty.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekgate"})
	missing, err = unanswered(r.client.Create(ctx, empty, client.DryRunAll, client.FieldOwner(FieldManager)))
	switch {
	case missing != "":
		return missing, nil
	case err == nil || apierrors.IsAlreadyExists(err):
		return wellknown.ValidateConfiguration + " lets pass what it should refuse", nil
	}
	return "", ignoreRefusal(err)
}

// unanswered takes from the error of a dry run those that say that some server does not
// answer yet, which is what is missing then.
func unanswered(err error) (missing string, left error) {
	if err == nil {
		return "", nil
	}
	if strings.Contains(err.Error(), "failed calling webhook") || meta.IsNoMatchError(err) ||
		apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) {
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
