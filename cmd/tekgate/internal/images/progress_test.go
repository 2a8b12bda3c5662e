package images

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// Bars end, whatever becomes of their images, and leave a line for each.
func TestBarsEnd(t *testing.T) {
	var out bytes.Buffer
	b := &bars{all: mpb.New(mpb.WithOutput(&out), mpb.WithAutoRefresh()), errOut: &out, each: map[string]*mpb.Bar{}}
	result := func(path string, outcome registry.Outcome, err error) registry.TransferResult {
		return registry.TransferResult{Image: image.Rewritten{From: image.Reference{Host: "a.io", Path: path}},
			Outcome: outcome, Err: err}
	}
	b.Start("a.io/whole", 100)
	b.Add("a.io/whole", 100)
	b.Done(result("whole", registry.Copied, nil))
	b.Start("a.io/again", 100)
	b.Add("a.io/again", 60)
	b.Start("a.io/again", 100)
	b.Add("a.io/again", 160) // what a broken transfer sent counts twice
	b.Done(result("again", registry.Copied, nil))
	b.Start("a.io/half", 100)
	b.Done(result("half", registry.Failed, errors.New("the line broke")))
	b.Done(result("there", registry.Present, nil))
	ended := make(chan struct{})
	go func() { b.wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the bars never end")
	}
	for _, want := range []string{"copied: a.io/whole", "copied: a.io/again", "failed: the line broke",
		"present: a.io/there"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}
