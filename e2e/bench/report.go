package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is what docs/benchmarks.md is made of.
type Report struct {
	Machine Machine
	Rounds  int
	Span    time.Duration
	Missing []Missing
	Results []Result
}

// Result is what one benchmark gave.
type Result struct {
	benchmark
	Figures []Figure
	Notes   []string
	Err     error
}

// save writes the report to a file, or to out where none is named.
func (r Report) save(file string, out io.Writer) error {
	if file == "" {
		_, err := io.WriteString(out, r.String())
		return err
	}
	if err := os.WriteFile(file, []byte(r.String()), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// String is the report in Markdown.
func (r Report) String() string {
	var w strings.Builder
	w.WriteString("# Benchmarks\n\n<!-- Written by `make bench-peers`. Do not edit. -->\n\n")
	w.WriteString("Tekgate's admission server beside its peers, all measured in one run on one machine. Run it yourself with `make bench-peers`.\n\n")
	r.writeGoals(&w)
	r.writeMachine(&w)
	r.writeMethod(&w)
	for _, result := range r.Results {
		result.write(&w)
	}
	return w.String()
}

func (r Report) writeGoals(w *strings.Builder) {
	w.WriteString("## Goals\n\n| | goal | limit | figure | least–most of a round | |\n|---|---|---|---|---|---|\n")
	for _, result := range r.Results {
		for _, goal := range result.Goals {
			v := goal.Judge(result.Figures)
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", result.ID, goal.Text, goal.Limit(), number(v.Ratio.Median), v.Ratio.span(), v.Outcome())
		}
	}
	w.WriteString("\n")
	var missed []string
	for _, result := range r.Results {
		for _, goal := range result.Goals {
			if goal.Judge(result.Figures).missed() {
				missed = append(missed, fmt.Sprintf("- %s, %s: %s\n", result.ID, goal.Text, goal.reason()))
			}
		}
	}
	if len(missed) > 0 {
		w.WriteString("Why goals are missed:\n\n" + strings.Join(missed, "") + "\n")
	}
}

func (r Report) writeMachine(w *strings.Builder) {
	m := r.Machine
	fmt.Fprintf(w, "## Machine and versions\n\n- %d cores of %s, Linux %s, %s\n", m.Cores, m.CPU, m.Kernel, m.Go)
	for _, version := range m.Versions {
		fmt.Fprintf(w, "- %s\n", version)
	}
	for _, missing := range r.Missing {
		fmt.Fprintf(w, "- missing: %s (%s)\n", missing.Arm, missing.Reason)
	}
	w.WriteString("\n")
}

func (r Report) writeMethod(w *strings.Builder) {
	fmt.Fprintf(w, `## Method

- Each arm is a process of its own, built from its own module without cgo, beside one real API server. Clients and servers share the cores.
- The arms take turns: %d rounds, in each of which every arm is warmed up and then measured for %s at least. A ratio is that of the medians over all rounds; beside it stand the least and the largest ratio of a round.
- %s is net/http with a handler that reads the request and answers with the bytes of Tekgate's answer. It says how quiet the machine was: a round in which it moved by more than a third from its median is thrown away and measured again.
- %s is the same job in the way that kubebuilder's users write it, on controller-runtime's server.
- The peers have policies as their documentation advises, which give the TaskRun of four steps what Tekgate gives it: a ServiceAccount, a variable for each step, images from a mirror. They are in e2e/peers/policies.
- Requests go over HTTP/1.1 and TLS, as those of an API server to a Service. All certificates have keys of P-256.
- CPU time is that of the server's process, from /proc, in ticks of 10 ms.

`, r.Rounds, r.Span, armNull, armKubebuilder)
}

func (r Result) write(w *strings.Builder) {
	fmt.Fprintf(w, "## %s: %s\n\n%s\n\n", r.ID, r.Title, r.Load)
	if r.Err != nil {
		fmt.Fprintf(w, "Not measured: %s\n\n", firstLine(r.Err))
	}
	r.writeTable(w)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "- %s\n", note)
	}
	if len(r.Notes) > 0 {
		w.WriteString("\n")
	}
	fmt.Fprintf(w, "What it does not show: %s\n\n", lowerFirst(r.Silent))
}

// writeTable has a row for each arm and a column for each measure: the median, and the
// least and the largest of a round.
func (r Result) writeTable(w *strings.Builder) {
	if len(r.Figures) == 0 {
		return
	}
	var arms, columns []string
	for _, f := range r.Figures {
		if column := heading(f); !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		if !slices.Contains(arms, f.Arm) {
			arms = append(arms, f.Arm)
		}
	}
	fmt.Fprintf(w, "| arm | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, arm := range arms {
		fmt.Fprintf(w, "| %s |", arm)
		for _, column := range columns {
			i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Arm == arm && heading(f) == column })
			if i < 0 {
				w.WriteString(" |")
				continue
			}
			s := spread(r.Figures[i].Rounds)
			fmt.Fprintf(w, " %s (%s) |", number(s.Median), s.span())
		}
		w.WriteString("\n")
	}
	w.WriteString("\n")
}

func heading(f Figure) string {
	if f.Unit == "" {
		return f.What
	}
	return f.What + ", " + f.Unit
}

// span is the least and the largest.
func (r Ratio) span() string {
	if math.IsNaN(r.Median) {
		return ""
	}
	return number(r.Least) + "–" + number(r.Most)
}

// number prints a figure with as many digits as mean something.
func number(value float64) string {
	switch size := math.Abs(value); {
	case math.IsNaN(value):
		return ""
	case size >= 1000:
		return fmt.Sprintf("%.0f", value)
	case size >= 100 || size == 0:
		return fmt.Sprintf("%.0f", value)
	case size >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}

func lowerFirst(text string) string {
	if text == "" {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}
