package interceptor

import (
	"testing"

	"github.com/tekgate/tekgate/internal/hooks"
)

// TestModesAreImplemented holds that each described mode has its two functions, and each
// provider of internal/hooks a row in Providers.
func TestModesAreImplemented(t *testing.T) {
	if len(Providers) != len(hooks.Providers) {
		t.Errorf("%d providers are described, and %d implemented", len(hooks.Providers), len(Providers))
	}
	for _, p := range Providers {
		if len(p.methods) != len(p.Modes) {
			t.Errorf("%s has %d modes and implements %d", p.Name, len(p.Modes), len(p.methods))
		}
		for _, m := range p.Modes {
			if mode := p.implemented(m); mode.read == nil || mode.sign == nil {
				t.Errorf("mode %s of %s is not implemented", m.Name, p.Name)
			}
		}
	}
}
