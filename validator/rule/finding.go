package rule

import "fmt"

// Finding is one thing that is wrong with an object.
type Finding struct {
	Rule     string   // id of the rule
	Severity Severity // how bad it is by itself
	Mode     Mode     // what the configuration makes of it
	Path     string   // where it is, such as "spec.triggers[0].template.ref"
	Key      bool     // whether the name of the field at Path is wrong, and not its value
	Message  string   // one line: what is wrong, why it matters, how to mend it
	Fix      []Edit   // what mends it for certain, if anything does
	Others   bool     // whether another object that comes later would mend it
}

// String returns the finding as one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s (rule %s)", f.Path, f.Message, f.Rule)
}

// Edit is one operation of a JSON Patch (RFC 6902) on the object that was judged;
// its path is written as a Finding's is.
type Edit struct {
	Op    string `json:"op"` // add, remove or replace
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}
