package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/scan"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Variables are the variables of steps whose values follow the configuration when a run is
// created again (wellknown.VariablesKey): a hash of the value that a rule gave each.
type Variables struct {
	before map[string]string // by name, as the annotation has them
	now    []variable        // those that have changed, each once
}

type variable struct{ name, sum string } // "" for one that is gone

// ReadVariables returns what the annotation says, nothing where it is not JSON.
func ReadVariables(notes map[string]any) Variables {
	text, _ := notes[wellknown.VariablesKey].(string)
	var v Variables
	if text != "" && json.Unmarshal([]byte(text), &v.before) != nil {
		v.before = nil
	}
	return v
}

// Sum returns the hash that stands for a value: 12 hexadecimal digits.
func Sum(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:6])
}

// Set reports whether a rule gave a variable this value in the run's life before.
func (v *Variables) Set(name, value string) bool {
	sum, is := v.before[name]
	return is && sum == Sum(value)
}

// Remember records a value by its hash, and by "" that a rule has removed the variable.
func (v *Variables) Remember(name, sum string) {
	for i := range v.now {
		if v.now[i].name == name {
			v.now[i].sum = sum
			return
		}
	}
	v.now = append(v.now, variable{name, sum})
}

// Text returns the text of the annotation, "" for none, and whether it has changed.
func (v *Variables) Text() (text string, changed bool) {
	if len(v.now) == 0 {
		return "", false
	}
	all := slices.Clone(v.now)
	for name, sum := range v.before {
		if !slices.ContainsFunc(v.now, func(n variable) bool { return n.name == name }) {
			all = append(all, variable{name, sum})
		}
	}
	slices.SortFunc(all, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	out := make([]byte, 0, 128)
	for _, one := range all {
		if one.sum == "" {
			continue
		}
		out = append(out, "{,"[min(len(out), 1)])
		out = scan.AppendQuoted(append(scan.AppendQuoted(out, one.name), ':'), one.sum)
	}
	if len(out) == 0 {
		return "", true
	}
	return string(append(out, '}')), true
}
