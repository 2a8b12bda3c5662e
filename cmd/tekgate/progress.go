package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"github.com/mattn/go-isatty"

	"github.com/tekgate/tekgate/installer"
)

// progress tells people how an install goes: on a terminal in one line that is
// written over and over, elsewhere in a line per stage and object.
type progress struct {
	out  io.Writer
	live bool

	began      time.Time
	stage      string
	done, want int
}

func newProgress(out io.Writer) *progress {
	file, isFile := out.(*os.File)
	return &progress{out: out, live: isFile && isatty.IsTerminal(file.Fd()), began: time.Now()}
}

// Stage begins a stage.
func (p *progress) Stage(number, of int, stage installer.Stage) {
	p.clear()
	p.stage, p.done, p.want = fmt.Sprintf("stage %d of %d: %s", number, of, stage.Doc), 0, len(stage.Objects)
	fmt.Fprintf(p.out, "%s, %d objects\n", p.stage, p.want)
}

// Changed hears of an object. On a terminal the unchanged ones are but counted.
func (p *progress) Changed(entry ssa.ChangeSetEntry) {
	p.done++
	if !p.live || entry.Action != ssa.UnchangedAction {
		p.clear()
		fmt.Fprintf(p.out, "  %s %s\n", entry.Subject, entry.Action)
	}
	p.line(fmt.Sprintf("%d of %d", p.done, p.want))
}

// Waiting hears what is waited for.
func (p *progress) Waiting(what string) {
	if !p.live {
		fmt.Fprintf(p.out, "  waiting for %s\n", what)
		return
	}
	p.line("waiting for " + what)
}

// widest is what fits on the narrowest terminal in use.
const widest = 79

func (p *progress) line(text string) {
	if !p.live {
		return
	}
	text = fmt.Sprintf("  [%s] %s", time.Since(p.began).Round(time.Second), text)
	if runes := []rune(text); len(runes) > widest {
		text = string(runes[:widest-1]) + "…"
	}
	fmt.Fprintf(p.out, "\r\033[K%s", text)
}

func (p *progress) clear() {
	if p.live {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
