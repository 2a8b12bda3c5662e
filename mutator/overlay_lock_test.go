package mutator

import (
	"testing"
	"time"
)

// TestOverlaysCompileApart holds that a namespace does not wait until the settings of another
// one are compiled.
func TestOverlaysCompileApart(t *testing.T) {
	base, err := compile(Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var o overlays
	slow, begun, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	other, err := o.find("kaniko: {args: [--slow]}")
	if err != nil {
		t.Fatal(err)
	}
	go other.once.Do(func() { close(begun); <-slow })
	<-begun
	defer close(slow)
	go func() {
		defer close(done)
		if _, err := o.get(base, "serviceAccount: {name: own}"); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the settings of another namespace")
	}
}

// TestOverlaysAreBounded holds that texts which are no longer in use are dropped.
func TestOverlaysAreBounded(t *testing.T) {
	var o overlays
	text := []byte("#........")
	for n := range 5000 {
		for i := range 8 {
			text[1+i] = byte('a' + n>>(2*i)&3)
		}
		if _, err := o.find(string(text)); err != nil {
			t.Fatal(err)
		}
		if o.cost > MaxOverlays || len(o.known) > MaxOverlays/overlayBase {
			t.Fatalf("%d settings are kept, at a cost of %d", len(o.known), o.cost)
		}
	}
}
