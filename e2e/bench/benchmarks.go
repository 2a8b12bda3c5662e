package main

import "context"

// The arms that more than one benchmark has.
const (
	armNull        = "null"
	armOurs        = "tekgate"
	armKubebuilder = "kubebuilder"
	armGatekeeper  = "gatekeeper"
	armKyverno     = "kyverno ClusterPolicy"
	armKyvernoCEL  = "kyverno MutatingPolicy"
	armTekton      = "tekton defaulting"
	armPodIdentity = "pod-identity"
)

// arms returns those that can be left out.
func arms() []string {
	return []string{armOurs, armKubebuilder, armGatekeeper, armKyverno, armKyvernoCEL, armTekton, armPodIdentity}
}

// benchmark is one row of the comparison.
type benchmark struct {
	ID    string // B1
	Title string
	Load  string // what is sent, to whom, how: a sentence or two of Markdown
	// Silent is what the figures do not show.
	Silent string
	Goals  []Goal
	Run    func(ctx context.Context, b *bed) ([]Figure, error)
}

// benchmarks returns the table. Each row is described where its code is.
func benchmarks() []benchmark {
	return []benchmark{
		cpuPerRequest(), // B1
		throughput(),    // B2
		addedLatency(),  // B3
		unmatched(),     // B4
		clusterScale(),  // B5
		ruleScale(),     // B6
		handshakes(),    // B7
		termination(),   // B8
		rotation(),      // B9
		hostile(),       // B10
		footprint(),     // B11
		herd(),          // B12
		lintDocuments(), // B14
	}
}
