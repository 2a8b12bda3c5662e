package apply

import (
	"fmt"

	"github.com/fluxcd/pkg/ssa"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer"
)

// progress shows the progress of an install: on a terminal unchanged objects are only
// counted, elsewhere each stage and object has a line.
type progress struct {
	*cli.StatusLine

	done, want int
}

// Stage begins a stage.
func (p *progress) Stage(number, of int, stage installer.Stage) {
	p.Clear()
	p.done, p.want = 0, len(stage.Objects)
	fmt.Fprintf(p.Out, "stage %d of %d: %s, %d objects\n", number, of, stage.Doc, p.want)
}

// Changed reports the action on an object.
func (p *progress) Changed(entry ssa.ChangeSetEntry) {
	p.done++
	if !p.Live || entry.Action != ssa.UnchangedAction {
		p.Clear()
		fmt.Fprintf(p.Out, "  %s %s\n", entry.Subject, entry.Action)
	}
	p.Show(fmt.Sprintf("%d of %d", p.done, p.want))
}

// Waiting shows what the install waits for.
func (p *progress) Waiting(what string) {
	if !p.Live {
		fmt.Fprintf(p.Out, "  waiting for %s\n", what)
		return
	}
	p.Show("waiting for " + what)
}
