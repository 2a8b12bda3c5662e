package check

import (
	"bytes"
	"context"
	"fmt"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

var replicasCheck = Check{
	ID: "configuration-replicas", Category: "configuration",
	Title: "every replica of the admission server uses that configuration",
	Retry: true, Needs: "configuration",
	Doc: "One answer shows what one replica uses. Each tells the hash of its configuration in its metric `tekgate_config_info`, which is read through the API server, as `kubectl get --raw /api/v1/namespaces/tekgate/pods/NAME:8080/proxy/metrics` does. After a change the kubelets hand it to the replicas one by one, within about a minute.\n\n" +
		"A replica that stays behind says why in its log; deleting its Pod makes it start with what the ConfigMap holds. Who may not get pods/proxy in the namespace tekgate is not asked.",
	run: configurationReplicas,
}

func configurationReplicas(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil || configuration == nil {
		return skip("the configuration cannot be read: see the check configuration")
	}
	pods, err := s.In(ctx, live.Pod, live.Tekgate)
	if err != nil {
		return err
	}
	var found problems
	asked := 0
	for _, pod := range pods {
		port := metricsPort(pod)
		if port == 0 {
			continue
		}
		hash, err := s.hashOf(ctx, pod.GetName(), port)
		if apierrors.IsForbidden(err) {
			return skip("you may not get pods/proxy in namespace " + live.Tekgate)
		}
		asked++
		switch {
		case err != nil:
			found.add("%s does not tell its configuration: %v", kube.Name(pod), err)
		case hash != configuration.Hash:
			found.add(
				"%s uses the configuration %s, and ConfigMap/tekgate/tekgate-config holds %s",
				kube.Name(pod),
				hash,
				configuration.Hash,
			)
		}
	}
	if asked == 0 {
		return skip("no Pod of the admission server runs")
	}
	return found.err()
}

// metricsPort is where a running replica of the admission server serves its
// metrics; 0 for all other Pods.
func metricsPort(pod *unstructured.Unstructured) int64 {
	phase := live.Text(pod.Object, "status", "phase")
	if pod.GetLabels()["app.kubernetes.io/name"] != wellknown.Webhook || phase != "Running" ||
		pod.GetDeletionTimestamp() != nil {
		return 0
	}
	for _, container := range live.Maps(pod.Object, "spec", "containers") {
		for _, port := range live.Maps(container, "ports") {
			if port["name"] == "metrics" {
				number, _ := port["containerPort"].(int64)
				return number
			}
		}
	}
	return 0
}

// hashOf asks a Pod for the configuration that it uses.
func (s *state) hashOf(ctx context.Context, pod string, port int64) (string, error) {
	text, err := s.Raw(ctx, fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy/metrics", live.Tekgate, pod, port))
	if err != nil {
		return "", err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("reading its metrics: %w", err)
	}
	for _, m := range families["tekgate_config_info"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "hash" {
				return label.GetValue(), nil
			}
		}
	}
	return "", fmt.Errorf("it has no metric tekgate_config_info")
}
