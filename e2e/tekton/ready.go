package tekton

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wait returns when the API server asks the webhook for everything that it is
// there for. Nothing else tells: that a configuration is complete says little
// about what the API server has seen of it.
func (w *Webhook) wait(ctx context.Context) error {
	asked := []func(context.Context) error{w.validatesConfig, w.validatesTaskRuns, w.defaultsTaskRuns, w.convertsTasks}
	if w.release == Triggers {
		// Its configuration for ConfigMaps selects Namespaces by a label that
		// none has that the releases create.
		asked = []func(context.Context) error{w.validatesListeners, w.defaultsListeners}
	}
	for _, is := range asked {
		if err := w.eventually(ctx, is); err != nil {
			return fmt.Errorf("the end of the log of Tekton's %s webhook:\n%s\nwaiting until the API server asks it: %w",
				w.release, w.log.End(4096), err)
		}
	}
	return nil
}

// patience is how long a machine that is busy with other tests may take.
const patience = 4 * time.Minute

// eventually tries until there is no error, the process ends or patience is over.
func (w *Webhook) eventually(ctx context.Context, try func(context.Context) error) error {
	var last error
	once := func(context.Context) (bool, error) {
		if err := w.died(); err != nil {
			return false, err
		}
		last = try(ctx) // not until the time is over, which would be the last error
		return last == nil, nil
	}
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, once)
	if wait.Interrupted(err) {
		return errors.Join(last, err)
	}
	return err
}

// refuses returns nil when err is the refusal of one of the webhook's
// configurations.
func (w *Webhook) refuses(prefix string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s%s lets pass what is wrong", prefix, w.Name)
	case strings.Contains(err.Error(), fmt.Sprintf("admission webhook %q denied the request", prefix+w.Name)):
		return nil
	default:
		return err
	}
}

func (w *Webhook) validatesConfig(ctx context.Context) error {
	wrong := map[string]any{"data": map[string]any{"loglevel." + w.component: "none such"}}
	return w.refuses("config.", w.patch(ctx, w.logging(), wrong, client.DryRunAll))
}

// probe creates an object in Tekton's own namespace, for which no other webhook
// should care, without its being stored.
func (w *Webhook) probe(
	ctx context.Context, apiVersion, kind string, spec map[string]any,
) (*unstructured.Unstructured, error) {
	obj := object(apiVersion, kind, namespace, "")
	obj.SetGenerateName("probe-")
	obj.Object["spec"] = spec
	return obj, w.client.Create(ctx, obj, client.DryRunAll)
}

func steps(names ...string) map[string]any {
	var steps []any
	for _, name := range names {
		steps = append(steps, map[string]any{"name": name, "image": "example.com/image"})
	}
	return map[string]any{"steps": steps}
}

func (w *Webhook) validatesTaskRuns(ctx context.Context) error {
	_, err := w.probe(ctx, "tekton.dev/v1", "TaskRun", map[string]any{"taskSpec": steps("same", "same")})
	return w.refuses("validation.", err)
}

func (w *Webhook) defaultsTaskRuns(ctx context.Context) error {
	run, err := w.probe(ctx, "tekton.dev/v1", "TaskRun", map[string]any{"taskSpec": steps("one")})
	if err == nil && run.GetLabels()["app.kubernetes.io/managed-by"] == "" {
		err = errors.New("a TaskRun comes back without the label that it gives")
	}
	return err
}

// convertsTasks stores an object, since only what is stored is converted.
func (w *Webhook) convertsTasks(ctx context.Context) error {
	old := object("tekton.dev/v1beta1", "Task", namespace, "")
	old.SetGenerateName("probe-")
	old.Object["spec"] = steps("one")
	if err := w.client.Create(ctx, old); err != nil {
		return err
	}
	stored := object("tekton.dev/v1", "Task", namespace, old.GetName())
	return errors.Join(w.client.Get(ctx, client.ObjectKeyFromObject(stored), stored), w.remove(ctx, stored))
}

func (w *Webhook) validatesListeners(ctx context.Context) error {
	_, err := w.probe(ctx, "triggers.tekton.dev/v1beta1", "EventListener", map[string]any{})
	return w.refuses("validation.", err)
}

func (w *Webhook) defaultsListeners(ctx context.Context) error {
	spec := map[string]any{"triggers": []any{map[string]any{"triggerRef": "any"}}}
	listener, err := w.probe(ctx, "triggers.tekton.dev/v1beta1", "EventListener", spec)
	account, _, _ := unstructured.NestedString(listener.Object, "spec", "serviceAccountName")
	if err == nil && account == "" {
		err = errors.New("an EventListener comes back without the ServiceAccount that it names")
	}
	return err
}
