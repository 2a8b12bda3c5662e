// Package record reads and writes the annotations that say what the rules changed.
package record

import (
	"encoding/json"
	"slices"

	"github.com/tekgate/tekgate/internal/scan"
)

// Mutated says which rules changed an object (wellknown.MutatedKey). Pods and TaskRuns
// inherit the annotations of what they are made for, so it may name rules that changed
// the PipelineRun.
type Mutated struct {
	Rules  []string `json:"rules"`  // their ids, sorted
	Config string   `json:"config"` // see mutator.Mutator.Hash
}

// After returns the text of the annotation, with the rules that its text so far names.
func (m Mutated) After(text string) string {
	if text != "" {
		var before Mutated
		if json.Unmarshal([]byte(text), &before) == nil {
			m.Rules = append(m.Rules, before.Rules...)
		}
	}
	slices.Sort(m.Rules)
	m.Rules = slices.Compact(m.Rules)
	return m.text()
}

// text is what encoding/json makes of the record.
func (m Mutated) text() string {
	out := append(make([]byte, 0, 256), `{"rules":`...)
	for i, id := range m.Rules {
		out = scan.AppendQuoted(append(out, "[,"[min(i, 1)]), id)
	}
	if len(m.Rules) == 0 {
		out = append(out, '[')
	}
	out = scan.AppendQuoted(append(out, `],"config":`...), m.Config)
	return string(append(out, '}'))
}
