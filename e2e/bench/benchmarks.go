package main

import (
	"context"

	"github.com/tekgate/tekgate/e2e/bench/report"
)

// benchmark measures what report/benchmarks.yaml describes under its id.
type benchmark struct {
	id  string
	run func(ctx context.Context, e *environment) ([]report.Figure, error)
}

// benchmarks returns all of them in the order in which they run. Each is in the file of
// its name.
func benchmarks() []benchmark {
	return []benchmark{
		{"cpu", cpu},
		{"throughput", throughput},
		{"latency", latency},
		{"unmatched", unmatched},
		{"cluster-size", clusterSize},
		{"rules", rules},
		{"use", use},
		{"handshakes", handshakes},
		{"termination", termination},
		{"rotation", rotation},
		{"hostile", hostile},
		{"memory", memory},
		{"burst", burst},
		{"lint", lint},
	}
}

// The names of measures that several benchmarks have.
const (
	cpuPerRequest  = "CPU per request"
	throughputName = "throughput"
	failedRequests = "failed requests"
)
