package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// webhookCalls is how often the API server has called each webhook, and the seconds that
// all of these calls took.
type webhookCalls map[string]struct{ seconds, count float64 }

var webhookSeries = regexp.MustCompile(
	`^apiserver_admission_webhook_admission_duration_seconds_(sum|count)\{name="([^"]+)",[^}]*\} (\S+)$`)

// webhookCalls reads them from the API server's metrics.
func (p *controlPlane) webhookCalls(ctx context.Context) (webhookCalls, error) {
	page, _, err := p.api.send(ctx, http.MethodGet, "/metrics", "", nil)
	if err != nil {
		return nil, err
	}
	return parseWebhookCalls(string(page))
}

func parseWebhookCalls(page string) (webhookCalls, error) {
	calls := webhookCalls{}
	for line := range strings.Lines(page) {
		found := webhookSeries.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the API server's metrics: %w", err)
		}
		one := calls[found[2]]
		if found[1] == "sum" {
			one.seconds += value
		} else {
			one.count += value
		}
		calls[found[2]] = one
	}
	return calls, nil
}

// since returns the mean duration of each webhook's calls after before, in milliseconds.
func (c webhookCalls) since(before webhookCalls) map[string]float64 {
	means := map[string]float64{}
	for name, now := range c {
		if n := now.count - before[name].count; n > 0 {
			means[name] = (now.seconds - before[name].seconds) / n * 1e3
		}
	}
	return means
}
