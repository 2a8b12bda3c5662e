package check

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

var webhookSecretsCheck = Check{
	ID: "webhook-secrets", Category: "configuration",
	Title: "the Secrets of webhooks have the label that the configuration demands",
	Retry: true, Needs: "configuration",
	Doc: "With `interceptor.secretLabel`, which new installations have, the interceptor reads no Secret without that label, and refuses the events of triggers that name one: their reason is secret-unusable.\n\n" +
		"Label the Secrets as the message says. Only the metadata of Secrets is read; those that you may not read are left out.",
	run: webhookSecrets,
}

// secretUse is a Secret and an object whose interceptors name it.
type secretUse struct{ namespace, secret, user string }

func webhookSecrets(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil || configuration == nil {
		return skip("the configuration cannot be read: see the check configuration")
	}
	if configuration.SecretLabel == "" {
		return nil
	}
	uses, err := s.secretUses(ctx)
	if apierrors.IsForbidden(err) {
		return skip("you may not list Triggers and EventListeners in all namespaces")
	}
	if err != nil {
		return err
	}
	key, value, exact := strings.Cut(configuration.SecretLabel, "=")
	assignment := key + "=" + value
	if !exact {
		assignment = key + "=true"
	}
	var found problems
	for _, use := range uses {
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(live.Secret)
		exists, err := s.Find(ctx, use.namespace, use.secret, secret)
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return err
		}
		has, labelled := secret.Labels[key]
		if !exists || labelled && (!exact || has == value) {
			continue
		}
		found.add("Secret/%s/%s of %s lacks the label %s: run `kubectl -n %[1]s label --overwrite secret %[2]s %[5]s`",
			use.namespace, use.secret, use.user, configuration.SecretLabel, assignment)
	}
	return found.err()
}

// secretUses returns the Secrets that Tekgate verifies with, each once.
func (s *state) secretUses(ctx context.Context) ([]secretUse, error) {
	var uses []secretUse
	add := func(obj *unstructured.Unstructured, holder map[string]any, path ...string) {
		for _, name := range secretNames(live.Maps(holder, path...)) {
			use := secretUse{obj.GetNamespace(), name, kube.Name(obj)}
			if !slices.ContainsFunc(uses, func(u secretUse) bool {
				return u.namespace == use.namespace && u.secret == use.secret
			}) {
				uses = append(uses, use)
			}
		}
	}
	kind := schema.GroupVersionKind{Group: "triggers.tekton.dev", Version: "v1beta1", Kind: "Trigger"}
	err := s.Each(ctx, kind, "", func(obj *unstructured.Unstructured) error {
		add(obj, obj.Object, "spec", "interceptors")
		return nil
	})
	if err != nil {
		return nil, err
	}
	kind.Kind = "EventListener"
	err = s.Each(ctx, kind, "", func(obj *unstructured.Unstructured) error {
		for _, list := range []string{"triggers", "triggerGroups"} {
			for _, trigger := range live.Maps(obj.Object, "spec", list) {
				add(obj, trigger, "interceptors")
			}
		}
		return nil
	})
	return uses, err
}

// secretNames returns the Secrets that Tekgate's interceptors among these name.
func secretNames(interceptors []map[string]any) []string {
	var names []string
	for _, interceptor := range interceptors {
		if live.Text(interceptor, "ref", "name") != "tekgate" {
			continue
		}
		for _, param := range live.Maps(interceptor, "params") {
			if name := live.Text(param, "value", "secretName"); name != "" && param["name"] == "secretRef" {
				names = append(names, name)
			}
			if param["name"] != "secretRefs" {
				continue
			}
			for _, ref := range live.Maps(param, "value") {
				names = append(names, live.Text(ref, "secretName"))
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}
