package cli

import (
	"fmt"
	"io"
	"time"
)

// widest is the length of a line on a narrow terminal.
const widest = 79

// StatusLine shows the current activity in one line that is rewritten. Without a
// terminal it shows nothing.
type StatusLine struct {
	Out  io.Writer
	Live bool // Out is a terminal

	began time.Time
}

// NewStatusLine returns an empty line; the time that it shows starts now.
func NewStatusLine(out io.Writer) *StatusLine {
	return &StatusLine{Out: out, Live: IsTerminal(out), began: time.Now()}
}

// Show replaces the line.
func (l *StatusLine) Show(text string) {
	if !l.Live {
		return
	}
	text = fmt.Sprintf("  [%s] %s", time.Since(l.began).Round(time.Second), text)
	if runes := []rune(text); len(runes) > widest {
		text = string(runes[:widest-1]) + "…"
	}
	fmt.Fprintf(l.Out, "\r\033[K%s", text)
}

// Clear removes the line, so that something else can be printed.
func (l *StatusLine) Clear() {
	if l.Live {
		fmt.Fprint(l.Out, "\r\033[K")
	}
}
