package tekton

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Configure sets keys of one of Tekton's ConfigMaps, such as config-defaults or
// feature-flags, and returns when the webhook goes by them. At the end of the
// test the ConfigMap is as it was.
func (w *Webhook) Configure(t testing.TB, name string, data map[string]string) {
	t.Helper()
	before := object("v1", "ConfigMap", namespace, name)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(before), before); err != nil {
		t.Fatal(err)
	}
	old, _, _ := unstructured.NestedStringMap(before.Object, "data")
	set, reset := map[string]any{}, map[string]any{}
	for key, value := range data {
		set[key], reset[key] = value, nil // which removes a key
		if value, had := old[key]; had {
			reset[key] = value
		}
	}
	if err := w.configure(t.Context(), name, set); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.configure(context.WithoutCancel(t.Context()), name, reset); err != nil {
			t.Error(err)
		}
	})
}

func (w *Webhook) configure(ctx context.Context, name string, data map[string]any) error {
	err := w.patch(ctx, object("v1", "ConfigMap", namespace, name), map[string]any{"data": data})
	if err != nil || w.stopped {
		return err
	}
	return w.settle(ctx)
}

// settle returns when the webhook has seen every change of a ConfigMap before
// this moment. It watches all of them as one stream, so one more change, which
// it reports in its log, comes last: another level for that log.
func (w *Webhook) settle(ctx context.Context) error {
	logging := w.logging()
	if err := w.client.Get(ctx, client.ObjectKeyFromObject(logging), logging); err != nil {
		return err
	}
	key, level := "loglevel."+w.component, "debug"
	if now, _, _ := unstructured.NestedString(logging.Object, "data", key); now == level {
		level = "info"
	}
	report := "Updating logging level for " + w.component
	before := strings.Count(w.log.String(), report)
	if err := w.patch(ctx, logging, map[string]any{"data": map[string]any{key: level}}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := w.eventually(ctx, func(context.Context) error {
		if strings.Count(w.log.String(), report) == before {
			return errors.New("its log does not say so")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting until Tekton's %s webhook has read its configuration: %w", w.release, err)
	}
	return nil
}

// logging is the ConfigMap of the process's log.
func (w *Webhook) logging() *unstructured.Unstructured {
	return object("v1", "ConfigMap", namespace, w.env["CONFIG_LOGGING_NAME"])
}
