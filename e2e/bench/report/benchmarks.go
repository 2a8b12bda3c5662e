// Package report renders the measurements of e2e/bench as docs/benchmarks.md.
//
// The texts and goals are in benchmarks.yaml, the measurements in a Run.
package report

import (
	_ "embed"
	"fmt"

	"sigs.k8s.io/yaml"
)

//go:embed benchmarks.yaml
var descriptions []byte

// Descriptions is all text of the report that does not depend on a run.
type Descriptions struct {
	Summary    []SummaryTable `json:"summary"`
	Candidates []Candidate    `json:"candidates"`
	Method     []string       `json:"method"`
	Benchmarks []Benchmark    `json:"benchmarks"`
}

// SummaryTable collects the most important measures of several benchmarks.
type SummaryTable struct {
	Text    string          `json:"text"`
	Columns []SummaryColumn `json:"columns"`
}

// SummaryColumn is one measure of one benchmark.
type SummaryColumn struct {
	Heading   string `json:"heading"`
	Benchmark string `json:"benchmark"`
	Measure   string `json:"measure"`
}

// Candidate is a program that is measured.
type Candidate struct {
	Name   string `json:"name"`
	Module string `json:"module"` // the key of its version in a Run; empty for code of this repository
	Text   string `json:"text"`   // what it does in the comparison
}

// Benchmark describes a benchmark.
type Benchmark struct {
	ID       string `json:"id"` // cpu
	Title    string `json:"title"`
	Load     string `json:"load"`     // what is sent, to whom, and how
	NotShown string `json:"notShown"` // what the figures do not show
	Goals    []Goal `json:"goals"`
}

// Describe returns the descriptions.
func Describe() (Descriptions, error) {
	var d Descriptions
	if err := yaml.UnmarshalStrict(descriptions, &d); err != nil {
		return d, fmt.Errorf("reading the descriptions of the benchmarks: %w", err)
	}
	return d, nil
}
