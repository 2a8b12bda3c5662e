package mutate

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/mutator"
)

// print writes the results in the format that was asked for.
func (m *mutation) print(out io.Writer, documents []*document.Document, results []*result) error {
	switch m.output.Format {
	case "json", "name", "jsonpath":
		return m.output.Print(out, m.value(results), nil)
	case "patch":
		return printPatches(out, results)
	}
	w := documentWriter{out: out}
	for _, d := range documents {
		edited, err := edit(d, results)
		switch {
		case err != nil:
			return err
		case m.output.Format == "diff":
			_, err = io.WriteString(out, difference(d, edited, results))
		default:
			err = w.write(d, edited.After)
		}
		if err != nil {
			return fmt.Errorf("printing the result: %w", err)
		}
	}
	return nil
}

// edit returns a document before and after; as it is where nothing changed.
func edit(d *document.Document, results []*result) (document.Edited, error) {
	var changes []document.Change
	for _, r := range results {
		if r.object.Document == d && r.changed() {
			changes = append(changes, document.Change{Object: r.object, Fields: r.outcome.Object})
		}
	}
	if len(changes) == 0 {
		return document.Edited{Before: d.Text, After: d.Text}, nil
	}
	return d.Edit(changes...)
}

// difference is a unified diff of a document, "" where nothing changed.
func difference(d *document.Document, edited document.Edited, results []*result) string {
	var names []string
	for _, r := range results {
		if r.object.Document == d && r.changed() {
			names = append(names, r.name())
		}
	}
	label := d.Where() + ": " + strings.Join(names, ", ")
	return cli.Diff(label, "mutated", edited.Before, edited.After)
}

// documentWriter writes documents as a stream. Where only one was read, it is
// what was read.
type documentWriter struct {
	out     io.Writer
	last    *document.Document
	newline bool // whether what was written ends with one
}

func (w *documentWriter) write(d *document.Document, text []byte) error {
	var between string
	if w.last != nil && !w.newline {
		between = "\n"
	}
	begins := bytes.TrimLeft(text, " \t\r\n")
	values := w.last != nil && w.last.File == d.File && bytes.HasPrefix(begins, []byte("{")) &&
		bytes.HasPrefix(bytes.TrimSpace(w.last.Text), []byte("{"))
	if w.last != nil && !values && !bytes.HasPrefix(begins, []byte("---")) {
		between += "---\n"
	}
	if between != "" {
		text = append([]byte(between), bytes.TrimLeft(text, "\r\n")...)
	}
	w.last, w.newline = d, bytes.HasSuffix(text, []byte("\n"))
	_, err := w.out.Write(text)
	return err
}

// mutated is how machines see what became of an object.
type mutated struct {
	File     string `json:"file"`
	Document int    `json:"document"`         // its number in the file, from 1
	Line     int    `json:"line"`             // where the document begins
	Item     string `json:"item,omitempty"`   // JSON Pointer of an item of a List
	Within   string `json:"within,omitempty"` // place of a run in a TriggerTemplate, which itself stays as it is

	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"` // with * for what the server will generate

	Changed bool                  `json:"changed"`
	Patch   []jsonpatch.Operation `json:"patch,omitempty"`
	// Decisions, with --explain: what each rule did, and why it did nothing.
	Decisions []mutator.Decision `json:"decisions,omitempty"`
	Warnings  []string           `json:"warnings,omitempty"`
	Object    map[string]any     `json:"object,omitempty"` // as it would be created
}

func (r *result) json() mutated {
	version, kind := r.kind.ToAPIVersionAndKind()
	return mutated{
		File: r.object.Document.File, Document: r.object.Document.Number, Line: r.object.Document.Line,
		Item: r.object.Pointer, Within: r.within,
		APIVersion: version, Kind: kind, Namespace: r.namespace, Name: r.called,
		Changed: r.changed(), Patch: r.outcome.Operations(), Decisions: r.outcome.Decisions,
		Warnings: r.warnings(),
	}
}

// warnings returns those of the outcome, and how many it does not have.
func (r *result) warnings() []string {
	if r.outcome.MoreWarnings == 0 {
		return r.outcome.Warnings
	}
	return append(slices.Clone(r.outcome.Warnings),
		fmt.Sprintf("there are %d more warnings: see --explain", r.outcome.MoreWarnings))
}

// after is the object as it would be created.
func (r *result) after() map[string]any {
	if r.outcome.Object != nil && r.changed() {
		return r.outcome.Object
	}
	return r.object.Fields
}

// explained is a report on objects.
type explained struct {
	Objects []mutated `json:"objects"`
}

// Names returns the names of the objects.
func (e explained) Names() []string {
	names := make([]string, 0, len(e.Objects))
	for _, o := range e.Objects {
		names = append(names, cli.ObjectName(o.APIVersion, o.Kind, o.Name))
	}
	return names
}

// value returns the objects, as kubectl would print them; with --explain a report on them.
func (m *mutation) value(results []*result) any {
	if m.explain {
		report := explained{Objects: []mutated{}}
		for _, r := range results {
			one := r.json()
			if r.within == "" {
				one.Object = r.after()
			}
			report.Objects = append(report.Objects, one)
		}
		return report
	}
	results = slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return r.within != "" })
	list := objects.ListOf(nil)
	for _, r := range results {
		list.Items = append(list.Items, r.after())
	}
	if len(list.Items) == 1 {
		return objects.One(list.Items[0])
	}
	return list
}

// printPatches prints the patches of the objects that would change.
func printPatches(out io.Writer, results []*result) error {
	patches := []mutated{}
	for _, r := range results {
		if r.changed() {
			one := r.json()
			one.Decisions = nil
			patches = append(patches, one)
		}
	}
	return display.JSON(out, patches)
}
