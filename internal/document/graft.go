package document

import (
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// graft puts what differs between before and after into the text as it is written,
// of which before is what an encoder makes. It reports false where a line that changed
// has no like in the text.
//
// An encoder takes blank lines, widens and narrows what is indented, and breaks lines
// elsewhere. So lines are found again by what they say without their spaces, and new
// ones are indented as their neighbours are. If fine, a line of which some words change keeps
// its spaces, too. Whoever calls it has to see whether the outcome means what is wanted.
func graft(written, before, after string, fine bool) (text string, ok bool) {
	g := grafting{written: lines(written), before: lines(before)}
	g.align()
	var out []string
	next := 0 // the first written line that is not out yet
	for _, h := range hunks(before, after) {
		begin, end, ok := g.find(h)
		if !ok || begin < next {
			return "", false
		}
		out = append(out, g.written[next:begin]...)
		out = append(out, g.indented(h, fine)...)
		next = end
	}
	return strings.Join(append(out, g.written[next:]...), ""), true
}

// grafted returns the texts that graft makes, the one that changes least first. A text without a newline at
// its end keeps that. If something is added below it, its last line gets one, and where that line ends a
// text that keeps its newline (|), the newline must not become part of the text (|-).
func grafted(written, before, after string) []string {
	var texts []string
	for _, fine := range []bool{true, false} {
		text, ok := graft(written, before, after, fine)
		if !ok {
			return nil
		}
		if written != "" && !strings.HasSuffix(written, "\n") {
			texts = append(texts, strings.TrimSuffix(text, "\n"))
			if header := lastHeader(written); header >= 0 {
				stripped := written[:header] + "-" + written[header:]
				if text, ok := graft(stripped, before, after, fine); ok {
					texts = append(texts, text)
				}
			}
		}
		texts = append(texts, text)
	}
	return texts
}

// blockHeader matches what a block scalar begins with, without a chomping indicator.
var blockHeader = lazyregexp.New(`(?m)(?:^|[ \t])[|>]([1-9]?)[ \t]*(?:#.*)?$`)

// lastHeader returns where the chomping indicator of the last block scalar belongs, -1 where there is none.
func lastHeader(text string) int {
	all := blockHeader.FindAllStringSubmatchIndex(text, -1)
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1][3]
}

// lines are the lines of a text, each with its end.
func lines(text string) []string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return strings.SplitAfter(text, "\n")[:strings.Count(text, "\n")]
}

// hunk says that some lines become others. The lines are counted from 0.
type hunk struct {
	begin, end int
	lines      []string
}

func hunks(before, after string) []hunk {
	var all []hunk
	for _, edit := range lineEdits(before, after) {
		begin := strings.Count(before[:edit.Start], "\n")
		all = append(all, hunk{
			begin: begin,
			end:   begin + strings.Count(before[edit.Start:edit.End], "\n"),
			lines: lines(edit.New),
		})
	}
	return all
}

// lineEdits are the edits of a comparison, each of whole lines.
func lineEdits(before, after string) []udiff.Edit {
	edits := udiff.Lines(before, after)
	udiff.SortEdits(edits)
	return edits
}

type grafting struct {
	written, before []string
	at              []int // where a line of before is written, -1 if nowhere
}

// align finds the lines of before in what is written.
func (g *grafting) align() {
	before, written := squeezed(g.before), squeezed(g.written)
	g.at = make([]int, len(g.before))
	line, there := 0, 0
	same := func(until int) {
		for ; line < until; line++ {
			g.at[line] = there
			there++
		}
	}
	for _, h := range hunks(before, written) {
		same(h.begin)
		for ; line < h.end; line++ {
			g.at[line] = -1
		}
		there += len(h.lines)
	}
	same(len(g.before))
}

func squeezed(lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.Join(strings.Fields(line), " "))
		text.WriteByte('\n')
	}
	return text.String()
}

// find returns which written lines a hunk is about.
func (g *grafting) find(h hunk) (begin, end int, ok bool) {
	if h.begin < h.end {
		begin, end = g.at[h.begin], g.at[h.end-1]+1
		return begin, end, begin >= 0 && end > begin
	}
	if h.begin == 0 {
		return 0, 0, true
	}
	begin = g.at[h.begin-1] + 1
	return begin, begin, begin > 0
}

// indent is how far a line is indented by the encoder, and in what is written.
type indent struct{ before, written int }

// indented indents the new lines of a hunk as their neighbours are: a line that the
// encoder indents alike, or one less, below which it stands.
func (g *grafting) indented(h hunk, fine bool) []string {
	var above []indent
	for i := range h.end { // what is replaced is a neighbour too
		if g.at[i] >= 0 {
			above = append(above, indent{indentation(g.before[i]), indentation(g.written[g.at[i]])})
		}
	}
	var out []string
	for i, line := range h.lines {
		if strings.TrimSpace(line) == "" {
			out = append(out, line)
			continue
		}
		if fine && len(h.lines) == h.end-h.begin && g.at[h.begin+i] >= 0 {
			if text, ok := reworded(g.written[g.at[h.begin+i]], g.before[h.begin+i], line); ok {
				out, above = append(out, text), append(above, indent{indentation(line), indentation(text)})
				continue
			}
		}
		one := indent{before: indentation(line)}
		one.written = g.indentOf(one.before, above, h.end)
		above = append(above, one)
		out = append(out, strings.Repeat(" ", one.written)+line[one.before:])
	}
	return out
}

func (g *grafting) indentOf(wanted int, above []indent, next int) int {
	for _, i := range slices.Backward(above) {
		if i.before == wanted {
			return i.written
		}
		if i.before > wanted {
			continue
		}
		if next < len(g.before) && g.at[next] >= 0 && indentation(g.before[next]) == wanted {
			return indentation(g.written[g.at[next]])
		}
		return i.written + wanted - i.before
	}
	return wanted
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// words are the words of a line with the spaces before each, and what is behind the last.
var words = lazyregexp.New(`[ \t]*[^ \t\n]+|[ \t]*\n`)

// reworded puts the words of after that differ from those of before into a written line, which has
// the words of before. It reports false where their numbers differ.
func reworded(written, before, after string) (text string, ok bool) {
	was, now := strings.Fields(before), strings.Fields(after)
	parts := words.FindAllString(written, -1)
	if len(was) != len(now) || len(parts) < len(was) {
		return "", false
	}
	for i, part := range parts {
		switch {
		case i >= len(was):
			text += part
		case strings.TrimLeft(part, " \t") != was[i]:
			return "", false
		default:
			text += strings.TrimSuffix(part, was[i]) + now[i]
		}
	}
	return text, true
}
