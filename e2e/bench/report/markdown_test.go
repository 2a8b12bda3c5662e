package report

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
)

func TestMarkdown(t *testing.T) {
	limit := func(value float64) *float64 { return &value }
	const cpu = "CPU per request"
	d := Descriptions{
		Summary: []SummaryTable{
			{Text: "In short.", Columns: []SummaryColumn{
				{Heading: "CPU, µs", Benchmark: "cpu", Measure: cpu},
				{Heading: "p50, µs", Benchmark: "cpu", Measure: "p50"},
			}},
			{Text: "Without figures.", Columns: []SummaryColumn{{Heading: "x", Benchmark: "gone", Measure: "x"}}},
		},
		Candidates: []Candidate{
			{Name: "null", Text: "Does nothing."}, {Name: "kyverno", Module: "example.com/k", Text: "A peer."},
		},
		Method: []string{"There are $ROUNDS rounds of $SPAN."},
		Benchmarks: []Benchmark{
			{ID: "cpu", Title: "CPU time", Load: "A review.", NotShown: "everything else.", Goals: []Goal{
				{
					Text: "Tekgate relative to null", Reason: "cost", Measure: cpu,
					Candidate: "tekgate", RelativeTo: "null", AtMost: limit(1.5),
				},
				{
					Text: "Gatekeeper relative to Tekgate", Reason: "cost", Measure: cpu,
					Candidate: "gatekeeper", RelativeTo: "tekgate", AtLeast: limit(12),
				},
				{
					Text: "Kyverno relative to Tekgate", Reason: "cost", Measure: cpu,
					Candidate: "kyverno", RelativeTo: "tekgate", AtLeast: limit(25),
				},
			}},
			{ID: "throughput", Title: "Throughput", Load: "No review.", NotShown: "anything."},
			{
				ID: "left-out", Title: "Left out", Load: "–", NotShown: "–",
				Goals: []Goal{{Text: "left out", AtMost: limit(0)}},
			},
		},
	}
	run := Run{
		Date: "2026-01-02", Commit: "0123456", Note: "A note.", Rounds: 3, Span: "3s",
		Machine:  Machine{Cores: 2, CPU: "a CPU", Kernel: "6.1", Go: "go1.26"},
		Versions: map[string]string{"kubernetes": "v1.36.3", "example.com/k": "v1.0.0"},
		Missing:  []string{"kyverno ClusterPolicy"},
		Results: []Result{
			{Benchmark: "cpu", Notes: []string{"One round was discarded."}, Figures: []Figure{
				{Measure: cpu, Candidate: "null", Unit: "µs", Rounds: []float64{60, 61, 62}},
				{Measure: cpu, Candidate: "tekgate", Unit: "µs", Rounds: []float64{80, 81, 90}},
				{Measure: cpu, Candidate: "gatekeeper", Unit: "µs", Rounds: []float64{810, 820, 805}},
				{Measure: "p50", Candidate: "tekgate", Unit: "µs", Rounds: []float64{100.25, 1.239, 1234.5}},
			}},
			{Benchmark: "throughput", Error: "it ended"},
		},
	}
	golden.Equal(t, "testdata/report.golden.md", []byte(Markdown(d, run)))

	text, err := run.JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "testdata/run.golden.json", text)
	again, err := ReadRun(bytes.NewReader(text))
	if err != nil || Markdown(d, again) != Markdown(d, run) {
		t.Errorf("the data does not survive its encoding, error %v", err)
	}
}

func TestReadRunFails(t *testing.T) {
	for _, text := range []string{"", "{", `{"rond": 1}`, "{} {}"} {
		if _, err := ReadRun(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// TestDocument checks that docs/benchmarks.md is the rendered form of the recorded
// measurements, and that the measurements and the descriptions fit together.
func TestDocument(t *testing.T) {
	d, err := Describe()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../results.json")
	if err != nil {
		t.Fatal(err)
	}
	run, err := ReadRun(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "../../../docs/benchmarks.md", []byte(Markdown(d, run)))
	if again, err := run.JSON(); err != nil || !bytes.Equal(again, text) {
		t.Errorf("results.json is not in the form in which a run writes it, error %v", err)
	}
	for _, result := range run.Results {
		if !slices.ContainsFunc(d.Benchmarks, func(b Benchmark) bool { return b.ID == result.Benchmark }) {
			t.Errorf("results.json has the benchmark %q, which is not described", result.Benchmark)
		}
	}
	for _, b := range d.Benchmarks {
		result, _ := run.result(b.ID)
		for _, g := range b.Goals {
			if !g.value(result).measured() {
				t.Errorf("%s: the goal %q is not measured", b.ID, g.Text)
			}
		}
	}
	for _, table := range d.Summary {
		for _, column := range table.Columns {
			measures := func(f Figure) bool { return f.Measure == column.Measure }
			if result, _ := run.result(column.Benchmark); !slices.ContainsFunc(result.Figures, measures) {
				t.Errorf("the summary's column %q has no figures", column.Heading)
			}
		}
	}
}

// TestDescriptions checks that no text is missing and that each goal can be met or missed.
func TestDescriptions(t *testing.T) {
	d, err := Describe()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range d.Benchmarks {
		if seen[b.ID] || b.Title == "" || b.Load == "" || b.NotShown == "" {
			t.Errorf("%s is described twice or lacks its title, load, or notShown", b.ID)
		}
		seen[b.ID] = true
		for _, g := range b.Goals {
			unlimited := (g.AtMost == nil) == (g.AtLeast == nil)
			if g.Text == "" || g.Reason == "" || g.Measure == "" || g.Candidate == "" || unlimited {
				t.Errorf("%s: the goal %+v is incomplete", b.ID, g)
			}
		}
	}
	for _, c := range d.Candidates {
		if c.Name == "" || c.Text == "" {
			t.Errorf("the candidate %+v is incomplete", c)
		}
	}
}
