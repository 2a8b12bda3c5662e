package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

var configurationChecks = []Check{
	{
		ID: "configuration", Category: "configuration",
		Title: "the servers' configuration can be read",
		Fatal: true, Needs: "read-access",
		Doc: "The servers read the key config.yaml of the ConfigMap tekgate-config. One that they cannot read keeps them from starting; while they run they go on with the last good one.\n\n" +
			"Correct what the message names in the file that you install from, and run `tekgate install --config FILE`.",
		run: configurationReadable,
	},
	{
		ID: "configuration-in-force", Category: "configuration",
		Title: "the admission server uses that configuration",
		Retry: true, Needs: "tekgate-webhook-answers",
		Doc: "The record that the admission server leaves on a TaskRun names the configuration that it used. It has to be the one in the ConfigMap tekgate-config. After a change the kubelet takes about a minute to hand it to the servers; `tekgate check --wait 2m` waits.\n\n" +
			"If it stays so, the servers hold the last good configuration: `kubectl -n tekgate describe configmap tekgate-config` shows the Event BadConfiguration with the reason, and so does their log.",
		run: configurationInForce,
	},
	replicasCheck,
	webhookSecretsCheck,
	{
		ID: "namespace-settings", Category: "configuration",
		Title: "the settings of Namespaces are used",
		Needs: "configuration",
		Doc: "A Namespace has settings of its own in the annotation " + wellknown.MutatorKey + ". Settings that are not valid, larger than 64 KB or 4,096 values, or that set a field that `mutator.overlays` does not allow are not used, and the configuration holds there. The settings of all Namespaces may take 48 MiB of the admission server's memory, equal ones once; those that are beyond this are not used.\n\n" +
			"Correct or remove the annotation of the Namespace that the message names.",
		run: namespaceSettings,
	},
}

// configuration returns Tekgate's, or nil where there is none.
func (s *state) configuration(ctx context.Context) (*Configuration, error) {
	cm, err := s.Get(ctx, live.ConfigMap, live.Tekgate, wellknown.ConfigMap)
	if cm == nil {
		return nil, err
	}
	text, found, _ := unstructured.NestedString(cm.Object, "data", wellknown.ConfigMapKey)
	if !found {
		return nil, fmt.Errorf("%s has no key config.yaml", kube.Name(cm))
	}
	parsed, err := s.options.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: config.yaml: %w", kube.Name(cm), err)
	}
	return parsed, nil
}

func configurationReadable(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err == nil && configuration == nil {
		return errors.New("ConfigMap/tekgate/tekgate-config does not exist: run `tekgate install`")
	}
	return err
}

func configurationInForce(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil || configuration == nil {
		return skip("the configuration cannot be read: see the check configuration")
	}
	namespace, err := s.Get(ctx, live.Namespace, "", live.ProbeNamespace)
	if err != nil {
		return err
	}
	if namespace != nil && namespace.GetAnnotations()[wellknown.MutatorKey] != "" {
		return skip("the namespace " + live.ProbeNamespace + ", which is asked about, has settings of its own")
	}
	_, hash, err := answer(ctx, s)
	if err == nil && hash != configuration.Hash {
		err = fmt.Errorf(
			"the admission server answers by the configuration %s, and ConfigMap/tekgate/tekgate-config holds %s",
			hash,
			configuration.Hash,
		)
	}
	return err
}

func namespaceSettings(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil || configuration == nil || configuration.Own == nil {
		return skip("the configuration cannot be read: see the check configuration")
	}
	namespaces, err := s.List(ctx, live.Namespace)
	if err != nil {
		return err
	}
	var found problems
	total, known := 0, map[string]bool{}
	for i := range namespaces {
		text := namespaces[i].GetAnnotations()[wellknown.MutatorKey]
		if text == "" {
			continue
		}
		cost, err := configuration.Own(text)
		if err != nil {
			found.add("%s: the annotation %s is not used: %s", kube.Name(namespaces[i]), wellknown.MutatorKey,
				strings.ReplaceAll(err.Error(), "\n", "; "))
		} else if !known[text] {
			known[text] = true
			total += cost
		}
	}
	if total > configuration.MostOwn {
		found.add("the settings of all Namespaces take %d bytes of memory, and %d are the most: the admission server uses those that it read first",
			total, configuration.MostOwn)
	}
	return found.err()
}
