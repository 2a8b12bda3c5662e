package images

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/registry"
)

// transferProgress shows how far transfers are. wait has to be called at the
// end.
type transferProgress interface {
	registry.Progress
	wait()
}

// newTransferProgress returns bars for a terminal, and lines for anything else.
func newTransferProgress(errOut io.Writer) transferProgress {
	if cli.IsTerminal(errOut) {
		errOut = cli.Plain(errOut) // for which the bars ask for the terminal's width
		return &bars{all: mpb.New(mpb.WithOutput(errOut), mpb.WithWidth(40)), errOut: errOut,
			each: map[string]*mpb.Bar{}}
	}
	return &lines{errOut: errOut}
}

// lines prints a line for every image that is done.
type lines struct {
	mu     sync.Mutex
	errOut io.Writer
}

func (l *lines) Start(image string, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.errOut, "%s: %s\n", image, size(bytes))
}

func (l *lines) Add(string, int64) {}

func (l *lines) Done(result registry.TransferResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.errOut, moveSentence(result))
}

func (l *lines) wait() {}

// moveSentence says what became of an image.
func moveSentence(r registry.TransferResult) string {
	switch {
	case r.Outcome == registry.Failed:
		return fmt.Sprintf("failed: %v: %s", r.Err, r.Remedy)
	case r.Digest == "":
		return fmt.Sprintf("%s: %s", r.Outcome, r.Image.From)
	}
	sentence := fmt.Sprintf("%s: %s to %s, %s", r.Outcome, r.Image.From, r.Image.To, r.Digest)
	if r.Attached > 0 {
		sentence += fmt.Sprintf(", with %d signatures, attestations or SBOMs", r.Attached)
	}
	return sentence
}

// size is a number of bytes for people.
func size(bytes int64) string {
	return fmt.Sprintf("% .1f", decor.SizeB1024(bytes))
}

// bars draws a bar for every image that is on its way.
type bars struct {
	mu     sync.Mutex
	all    *mpb.Progress
	errOut io.Writer
	each   map[string]*mpb.Bar
}

func (b *bars) Start(image string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bar, again := b.each[image]; again {
		bar.SetCurrent(0) // a transfer that broke and begins anew
		return
	}
	b.each[image] = b.all.AddBar(bytes, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(image, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name(" "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f")))
}

func (b *bars) Add(image string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bar := b.each[image]; bar != nil {
		bar.IncrInt64(bytes)
	}
}

func (b *bars) Done(result registry.TransferResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bar := b.each[result.Image.From.String()]; bar != nil {
		bar.Abort(true)
	}
	fmt.Fprintln(b.all, moveSentence(result))
}

func (b *bars) wait() { b.all.Wait() }
