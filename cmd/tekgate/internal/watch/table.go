package watch

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"
)

const (
	// gap is the space between columns.
	gap = 2
	// narrow is what a column keeps when the terminal is too narrow for all of it.
	narrow = 8
)

// table lays out rows of cells, in columns of the width of their longest cell. Where width is
// not 0, no line is wider: the columns give up what is too much, the last first.
func table(rows [][]string, width int) []string {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	if width > 0 {
		shrink(widths, width)
	}
	lines := make([]string, 0, len(rows))
	for _, cells := range rows {
		var line strings.Builder
		for i, cell := range cells {
			cell = runewidth.Truncate(cell, widths[i], "…")
			if i < len(cells)-1 {
				cell = runewidth.FillRight(cell, widths[i]+gap)
			}
			line.WriteString(cell)
		}
		text := strings.TrimRight(line.String(), " ")
		if width > 0 { // what no column could give up
			text = runewidth.Truncate(text, width, "…")
		}
		lines = append(lines, text)
	}
	return lines
}

// shrink takes from the widths what is too much for a terminal: first from the reason, then from
// the cause, then from the names.
func shrink(widths []int, width int) {
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	last := len(widths) - 1
	for i := last; i >= 0; i-- {
		give := min(total-width, widths[i]-narrow)
		if fixed := i == last-1 || i == last-2; give > 0 && !fixed { // state and duration are
			widths[i] -= give
			total -= give
		}
	}
}

// counts is the line above the table.
func counts(runs []*Run) string {
	states := map[string]int{}
	for _, r := range runs {
		states[r.State()]++
	}
	var words []string
	for _, state := range []string{Running, Pending, Failed, TimedOut, Cancelled, Succeeded} {
		if n := states[state]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, strings.ToLower(state)))
		}
	}
	if len(words) == 0 {
		return "no runs"
	}
	return strings.Join(words, ", ")
}
