package lint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// maxRounds bounds how often is judged again what was mended: a rule that never is
// content with its own remedy must not keep the program.
const maxRounds = 10

// mend applies the remedies of what was found, and judges what came of it, until there
// is nothing to mend. Then it writes the files, or shows what would be written.
func (l *lint) mend(ctx context.Context, streams cli.Streams, j *judgement, files []*lintFile, first *report) error {
	errOut := streams.ErrOut
	before := map[*lintFile][]byte{}
	for _, f := range files {
		before[f] = f.text
	}
	m := mending{stuck: map[string]bool{}, errOut: errOut, would: l.diff}
	last := first
	for range maxRounds {
		if m.round(files, last.problems) == 0 {
			break
		}
		var err error
		if last, err = j.judge(ctx, files); err != nil {
			return err
		}
	}
	last.mended = m.mended
	if l.diff {
		first.mended = m.mended
		return l.show(streams, files, before, first)
	}
	return l.write(streams, files, before, last)
}

// show prints what would change. What was found is in the files still.
func (l *lint) show(streams cli.Streams, files []*lintFile, before map[*lintFile][]byte, r *report) error {
	for _, f := range files {
		text := cli.Diff(f.name, "mended", before[f], f.text)
		if _, err := io.WriteString(streams.Out, text); err != nil {
			return fmt.Errorf("printing the difference: %w", err)
		}
	}
	return l.verdict(streams.ErrOut, r)
}

// write writes the files that changed, and prints what is left of the findings.
func (l *lint) write(streams cli.Streams, files []*lintFile, before map[*lintFile][]byte, r *report) error {
	out := streams.Out
	for _, f := range files {
		var err error
		switch {
		case f.name == document.StandardInput:
			out = streams.ErrOut // the text has the standard output to itself
			_, err = streams.Out.Write(f.text)
		case string(before[f]) != string(f.text):
			err = document.ReplaceFile(f.name, f.text)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
	}
	return l.conclude(out, streams.ErrOut, r)
}

// mending is the work of mending files.
type mending struct {
	errOut io.Writer
	would  bool            // whether nothing will be written
	stuck  map[string]bool // remedies that did not apply, which are not tried again
	mended int
}

// round applies the remedies of findings to the files in memory, and returns how many.
func (m *mending) round(files []*lintFile, problems []*problem) int {
	by := map[*linted][]*problem{}
	for _, p := range problems {
		if len(p.Fix) > 0 && !m.stuck[p.key()] {
			by[p.object] = append(by[p.object], p)
		}
	}
	mended := 0
	for _, f := range files {
		var done []*problem
		var changes []document.Change
		for _, o := range f.objects {
			applied, fields := m.apply(o, by[o])
			if len(applied) > 0 {
				done = append(done, applied...)
				changes = append(changes, document.Change{Object: o.object, Fields: fields})
			}
		}
		if len(changes) == 0 {
			continue
		}
		if err := f.change(changes); err != nil {
			m.refuse(done, err)
			continue
		}
		m.tell(done)
		mended += len(done)
	}
	m.mended += mended
	return mended
}

func (p *problem) key() string {
	return strings.Join([]string{p.File, p.Kind, p.Namespace, p.Name, p.Rule, p.Path, p.Message}, "\x00")
}

func (m *mending) tell(done []*problem) {
	word := "mended"
	if m.would {
		word = "would be mended"
	}
	slices.SortFunc(done, byPlace)
	for _, p := range done {
		fmt.Fprintf(m.errOut, "%s: %s:%d:%d: %s (%s)\n", word, p.File, p.Line, p.Column,
			display.Printable(p.Message, '\ufffd'), p.Rule)
	}
}

func (m *mending) refuse(problems []*problem, err error) {
	for _, p := range problems {
		m.stuck[p.key()] = true
		fmt.Fprintf(m.errOut, "warning: %s:%d:%d: the remedy of %s was not applied: %v\n", p.File, p.Line, p.Column,
			p.Rule, err)
	}
}

// apply applies remedies to an object, those of later items of a list first, so that
// the numbers of the others stay right. One that does not apply after the others has
// another chance when the object was judged again.
func (m *mending) apply(o *linted, problems []*problem) (applied []*problem, fields map[string]any) {
	slices.SortStableFunc(problems, func(a, b *problem) int { return comparePaths(b.Fix[0].Path, a.Fix[0].Path) })
	raw := o.object.Raw
	var once []*problem
	for _, p := range problems {
		if slices.ContainsFunc(once, func(q *problem) bool { return reflect.DeepEqual(p.Fix, q.Fix) }) {
			applied = append(applied, p) // one remedy for both
			continue
		}
		patched, err := patch(raw, p.Fix)
		if err != nil {
			if len(once) == 0 {
				m.refuse([]*problem{p}, err)
			}
			continue
		}
		raw, once, applied = patched, append(once, p), append(applied, p)
	}
	fields, err := object.Decode(raw)
	switch {
	case len(applied) == 0:
	case err != nil:
		m.refuse(applied, err)
		return nil, nil
	case reflect.DeepEqual(fields, o.fields()):
		m.refuse(applied, errors.New("it changes nothing"))
		return nil, nil
	}
	return applied, fields
}

// patch applies a remedy to the JSON of an object.
func patch(raw []byte, edits []validator.Edit) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"` // null where there is none, which remove passes over
	}
	operations := make([]operation, 0, len(edits))
	for _, edit := range edits {
		pointer := ""
		for _, step := range document.ParsePath(edit.Path) {
			pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
		}
		operations = append(operations, operation{edit.Op, pointer, edit.Value})
	}
	text, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	decoded, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	return decoded.ApplyWithOptions(raw, options)
}

// comparePaths orders paths as the text has them: items of lists by their number.
func comparePaths(a, b string) int {
	one, other := document.ParsePath(a), document.ParsePath(b)
	return slices.CompareFunc(one, other, func(x, y string) int {
		n, err1 := strconv.Atoi(x)
		m, err2 := strconv.Atoi(y)
		if err1 == nil && err2 == nil {
			return n - m
		}
		return strings.Compare(x, y)
	})
}

// change makes changes to the file in memory. If the text then would not mean exactly
// what is wanted, the file stays as it is, and the error says so.
func (f *lintFile) change(changes []document.Change) error {
	by := map[*document.Document][]document.Change{}
	for _, c := range changes {
		by[c.Object.Document] = append(by[c.Object.Document], c)
	}
	var text []byte
	next := 0
	for _, d := range f.documents {
		if len(by[d]) == 0 {
			continue
		}
		revised, err := d.Revise(by[d]...)
		if err != nil {
			return err
		}
		text = append(append(text, f.text[next:d.Offset]...), revised...)
		next = d.Offset + len(d.Text)
	}
	text = append(text, f.text[next:]...)
	again := &lintFile{name: f.name, named: f.named, shelf: f.shelf}
	again.parse(text)
	if err := f.became(again, changes); err != nil {
		return err
	}
	f.text, f.documents, f.objects, f.broken = again.text, again.documents, again.objects, again.broken
	for _, o := range f.objects {
		o.file = f
	}
	return nil
}

// became reports what differs in the file's new text from what is wanted.
func (f *lintFile) became(again *lintFile, changes []document.Change) error {
	wanted := map[*document.Object]map[string]any{}
	for _, c := range changes {
		wanted[c.Object] = c.Fields
	}
	same := len(f.objects) == len(again.objects) && len(f.broken) == len(again.broken)
	for i := 0; same && i < len(f.objects); i++ {
		want := f.objects[i].fields()
		if changed, ok := wanted[f.objects[i].object]; ok {
			want = changed
		}
		same = reflect.DeepEqual(want, again.objects[i].fields())
	}
	if !same {
		return fmt.Errorf("changing %s: its text cannot be written so that it means what is wanted", f.name)
	}
	return nil
}
