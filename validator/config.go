package validator

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Config is the section `validator` of the configuration file, with one field
// per rule.
type Config struct {
	DanglingReference DanglingReference `json:"danglingReference"`
}

// DanglingReference configures the rule dangling-reference.
type DanglingReference struct {
	Mode Mode `json:"mode"`
}

// Mode says what becomes of a rule's findings.
type Mode string

// The modes of a rule.
const (
	Enforce Mode = "enforce" // the object is refused
	Warn    Mode = "warn"    // the object is accepted, and its user is warned
	Off     Mode = "off"     // the rule is not asked
)

// UnmarshalJSON takes false for off, since that is what YAML makes of `mode: off`
// without quotes.
func (m *Mode) UnmarshalJSON(raw []byte) error {
	if string(raw) == "false" {
		*m = Off
		return nil
	}
	return json.Unmarshal(raw, (*string)(m))
}

func (m Mode) validate(path string) error {
	if slices.Contains([]Mode{Enforce, Warn, Off}, m) {
		return nil
	}
	return fmt.Errorf("%s: %q is not a mode: write enforce, warn or off", path, string(m))
}

// Default returns the configuration that holds where the file says nothing.
func Default() Config {
	return Config{DanglingReference: DanglingReference{Mode: Enforce}}
}

// Validate reports all that is wrong, each problem with the path of its field in
// the section.
func (c Config) Validate() error {
	return c.DanglingReference.Mode.validate("danglingReference.mode")
}
