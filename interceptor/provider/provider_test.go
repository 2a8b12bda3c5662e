package provider

import (
	"testing"

	"github.com/tekgate/tekgate/internal/hooks"
)

// TestModesAreImplemented holds that each described mode has its two functions, and each
// provider of internal/hooks a row in Providers.
func TestModesAreImplemented(t *testing.T) {
	if len(All) != len(hooks.Providers) {
		t.Errorf("%d providers are described, and %d implemented", len(hooks.Providers), len(All))
	}
	for _, p := range All {
		if len(p.methods) != len(p.Modes) {
			t.Errorf("%s has %d modes and implements %d", p.Name, len(p.Modes), len(p.methods))
		}
		for _, m := range p.Modes {
			if mode := p.Implemented(m); mode.Read == nil || mode.Sign == nil {
				t.Errorf("mode %s of %s is not implemented", m.Name, p.Name)
			}
		}
	}
}
