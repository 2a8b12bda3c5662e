package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// Run is the data of one run of the benchmarks.
type Run struct {
	Date   string `json:"date"`   // 2006-01-02
	Commit string `json:"commit"` // of the measured code
	// Note is a paragraph about the origin of the data, if it needs one.
	Note string `json:"note,omitempty"`

	Rounds  int     `json:"rounds"`
	Span    string  `json:"span"` // of each candidate in each round
	Machine Machine `json:"machine"`
	// Versions maps a module to the version that was measured.
	Versions map[string]string `json:"versions"`
	// Missing are candidates that did not start.
	Missing []string `json:"missing,omitempty"`
	Results []Result `json:"results"`
}

// Machine describes the machine without its name.
type Machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Result is the data of one benchmark.
type Result struct {
	Benchmark string   `json:"benchmark"`       // its id
	Error     string   `json:"error,omitempty"` // why it ended early
	Notes     []string `json:"notes,omitempty"` // what happened while it ran
	Figures   []Figure `json:"figures"`
	// Ratios replace those that can be computed only from rounds, in data that was
	// copied from a report.
	Ratios []Ratio `json:"ratios,omitempty"`
}

// Ratio compares one measure of two candidates.
type Ratio struct {
	Measure    string `json:"measure"`
	Candidate  string `json:"candidate"`
	RelativeTo string `json:"relativeTo"`
	Summary
}

func (r Result) figure(measure, candidate string) (Figure, bool) {
	for _, f := range r.Figures {
		if f.Measure == measure && f.Candidate == candidate {
			return f, true
		}
	}
	return Figure{}, false
}

func (r Run) result(benchmark string) (Result, bool) {
	for _, result := range r.Results {
		if result.Benchmark == benchmark {
			return result, true
		}
	}
	return Result{}, false
}

var (
	// innermost is an object without objects in it, such as a figure.
	innermost = regexp.MustCompile(`\{[^{}]*\}`)
	lineBreak = regexp.MustCompile(`\n\s*`)
)

// JSON encodes the run with one figure per line, so that a diff of two runs is readable.
func (r Run) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the measurements: %w", err)
	}
	text = innermost.ReplaceAllFunc(text, func(object []byte) []byte {
		return lineBreak.ReplaceAll(object, []byte(" "))
	})
	return append(text, '\n'), nil
}

// ReadRun decodes what JSON encodes.
func ReadRun(in io.Reader) (Run, error) {
	var run Run
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&run); err != nil {
		return run, fmt.Errorf("reading measurements: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return run, errors.New("reading measurements: more than one JSON value")
	}
	return run, nil
}
