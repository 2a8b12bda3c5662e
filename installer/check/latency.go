package check

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

var latencyCheck = Check{
	ID: "webhook-latency", Category: "webhooks",
	Title: "the admission server answers the API server in time",
	Needs: "api-server",
	Doc: "The API server measures how long it waits for each webhook, from its own start on. A hundredth of the calls that takes longer than half a second is what people notice, and what takes longer than three is let pass unchanged, or refused where failurePolicy is Fail.\n\n" +
		"`kubectl -n tekgate top pod` shows whether the admission server lacks CPU; its own `tekgate_webhook_request_duration_seconds` tells its part from the network's. " +
		"The figures are read from /metrics of the API server, or of one of several. Who may not read that is not asked: a ClusterRole with nonResourceURLs [/metrics] and the verb get allows it.",
	run: webhookLatency,
}

// What is too slow.
const (
	slow      = 500 * time.Millisecond // a bound of the API server's own buckets
	slowPart  = 100                    // one of so many calls may be
	leastSlow = 3                      // keeps single calls, such as the first ones, from being told of
)

// callDuration is the API server's name of its measure.
const callDuration = "apiserver_admission_webhook_admission_duration_seconds"

func webhookLatency(ctx context.Context, s *state) error {
	text, err := s.Raw(ctx, "/metrics")
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return skip("you may not read the API server's /metrics")
	}
	if apierrors.IsNotFound(err) {
		return skip("the API server shows no /metrics")
	}
	if err != nil {
		return fmt.Errorf("reading the API server's /metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("reading the API server's /metrics: %w", err)
	}
	calls := callsOf(families[callDuration])
	if len(calls) == 0 {
		return skip("the API server has not called Tekgate's webhooks yet")
	}
	var found problems
	for _, c := range calls {
		if c.slow >= leastSlow && c.slow*slowPart > c.all {
			found.add(
				"webhook %s: of %d calls %d took longer than %s, %s on average",
				c.webhook,
				c.all,
				c.slow,
				slow,
				c.average().Round(time.Millisecond),
			)
		}
	}
	return found.err()
}

// calls are what the API server measured of one webhook.
type calls struct {
	webhook   string
	all, slow uint64
	seconds   float64 // of all
}

func (c calls) average() time.Duration {
	return time.Duration(c.seconds / float64(c.all) * float64(time.Second))
}

// callsOf adds up what was measured of each of Tekgate's webhooks, in the order of
// their names.
func callsOf(family *dto.MetricFamily) []calls {
	byName := map[string]*calls{}
	for _, m := range family.GetMetric() {
		name := ""
		for _, label := range m.GetLabel() {
			if label.GetName() == "name" {
				name = label.GetValue()
			}
		}
		h := m.GetHistogram()
		if !strings.HasSuffix(name, ".tekgate.dev") || h.GetSampleCount() == 0 {
			continue
		}
		if byName[name] == nil {
			byName[name] = &calls{webhook: name}
		}
		c := byName[name]
		c.all += h.GetSampleCount()
		c.seconds += h.GetSampleSum()
		c.slow += h.GetSampleCount() - fast(h)
	}
	all := make([]calls, 0, len(byName))
	for _, c := range byName {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b calls) int { return strings.Compare(a.webhook, b.webhook) })
	return all
}

// fast returns how many calls were not slow; all of them where the bound is not
// among the buckets.
func fast(h *dto.Histogram) uint64 {
	for _, bucket := range h.GetBucket() {
		if bucket.GetUpperBound() >= slow.Seconds() {
			return bucket.GetCumulativeCount()
		}
	}
	return h.GetSampleCount()
}
