package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// admissionTimes is how often the API server has asked each webhook, and how many
// seconds it waited in all.
type admissionTimes map[string]struct{ seconds, count float64 }

var admissionSeries = regexp.MustCompile(`^apiserver_admission_webhook_admission_duration_seconds_(sum|count)\{name="([^"]+)",[^}]*\} (\S+)$`)

// admission reads them from the API server's metrics.
func (p *plane) admission(ctx context.Context) (admissionTimes, error) {
	page, _, err := p.post.send(ctx, http.MethodGet, "/metrics", "", nil)
	if err != nil {
		return nil, err
	}
	return admissionTimesOf(string(page))
}

func admissionTimesOf(page string) (admissionTimes, error) {
	times := admissionTimes{}
	for line := range strings.Lines(page) {
		found := admissionSeries.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the API server's metrics: %w", err)
		}
		one := times[found[2]]
		if found[1] == "sum" {
			one.seconds += value
		} else {
			one.count += value
		}
		times[found[2]] = one
	}
	return times, nil
}

// since returns the mean of each webhook's calls after before, in milliseconds.
func (t admissionTimes) since(before admissionTimes) map[string]float64 {
	means := map[string]float64{}
	for name, now := range t {
		if n := now.count - before[name].count; n > 0 {
			means[name] = (now.seconds - before[name].seconds) / n * 1e3
		}
	}
	return means
}
