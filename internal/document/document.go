// Package document reads files of YAML and JSON as people write them, and knows
// where in them each object stands.
//
// What reads a release may take a stream apart and forget it. A tool that speaks
// to authors about their files must name file, document and line, must give back
// what it did not change byte for byte, comments included, and must change the
// rest no more than it has to. So a document keeps its text beside its meaning.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
)

// Document is one document of a file.
type Document struct {
	File   string // as its reader named it
	Number int    // its position in the file among those that hold anything, from 1
	Line   int    // where it begins, from 1
	Offset int    // where it begins, in bytes of the stream
	Text   []byte // as it is written, from its separator on
	JSON   []byte // what it means
	alone  bool   // whether the file holds nothing else

	column int   // how much of its first line stands before it, in characters
	tree   *tree // its text as a tree, once a position was asked for
}

// Where names the document to people, such as `run.yaml, document 2 (line 14)`.
func (d *Document) Where() string {
	if d.alone {
		return d.File
	}
	return fmt.Sprintf("%s, document %d (line %d)", d.File, d.Number, d.Line)
}

// Object is one object of a document: the document itself, or an item of a List.
type Object struct {
	Document *Document
	// Pointer is its JSON Pointer in the document, "" for the document itself.
	Pointer string
	// Raw is its JSON, and Fields the same, decoded.
	Raw    []byte
	Fields map[string]any
}

// Where names the object's place to people.
func (o *Object) Where() string {
	if o.Pointer == "" {
		return o.Document.Where()
	}
	return o.Document.Where() + ", " + strings.TrimPrefix(o.Pointer, "/")
}

// maxText bounds what is read of one stream, so that a wrong name fills no memory.
const maxText = 256 << 20

// Read reads the documents of a stream: YAML, or JSON values one after another.
// Documents that hold nothing are left out. The error names file, document and
// line, and says what is wrong in one sentence.
func Read(file string, in io.Reader) ([]*Document, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxText+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", file, reason(err))
	case len(text) > maxText:
		return nil, fmt.Errorf("reading %s: it is larger than %d MiB", file, maxText>>20)
	}
	documents, problems := Parse(file, text)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return documents, nil
}

// SyntaxError says of a document that it is not well-formed.
type SyntaxError struct {
	Document *Document // without JSON
	Line     int       // of the file, from 1
	Err      error     // what is wrong, in one sentence
}

func (e *SyntaxError) Error() string {
	if line, is := e.IsTemplate(); is {
		return fmt.Sprintf(
			"%s: not well-formed, since it is a template as Helm has them, see line %d: use what `helm template CHART` makes of it",
			e.Document.Where(), line)
	}
	return e.Document.Where() + ": " + e.Err.Error()
}

// Unwrap returns what is wrong without the place.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Parse reads the documents of a file's text as Read does, and goes on after a document
// that is not well-formed.
func Parse(file string, text []byte) (documents []*Document, problems []*SyntaxError) {
	for _, d := range unparsed(file, text) {
		raw, err := d.parse()
		if err != nil {
			problems = append(problems, &SyntaxError{Document: d, Line: d.lineOf(err), Err: err})
			continue
		}
		d.JSON = raw
		documents = append(documents, d)
	}
	return documents, problems
}

// unparsed returns the documents of a file's text, without their JSON.
func unparsed(file string, text []byte) []*Document {
	const mark = "\ufeff"
	unmarked := bytes.TrimPrefix(text, []byte(mark))
	marked := len(text) - len(unmarked)
	var documents []*Document
	for _, part := range split(unmarked) {
		at := part
		for _, d := range values(part.text) {
			d.File, d.Line, d.Offset, d.column = file, at.line, marked+at.offset, at.column
			at = at.after(d.Text)
			if !empty(d.Text) {
				d.Number = len(documents) + 1
				documents = append(documents, d)
			}
		}
	}
	for _, d := range documents {
		d.alone = len(documents) == 1
	}
	return documents
}

// namedLine is how a parser's message names a line.
var namedLine = lazyregexp.New(`\bline (\d+):`)

// lineOf returns the line that a message of parse names, or the document's.
func (d *Document) lineOf(err error) int {
	if found := namedLine.FindStringSubmatch(err.Error()); found != nil {
		if line, err := strconv.Atoi(found[1]); err == nil && line >= d.Line {
			return line
		}
	}
	return d.Line
}

// part is a piece of a stream, and where it begins: the number of the line, how
// many characters of that line stand before it, and how many bytes of the stream.
type part struct {
	text                 []byte
	line, column, offset int
}

// after returns where the text ends that begins where the part does.
func (p part) after(text []byte) part {
	breaks := bytes.Count(text, []byte("\n"))
	if breaks == 0 {
		return part{line: p.line, column: p.column + utf8.RuneCount(text), offset: p.offset + len(text)}
	}
	last := text[bytes.LastIndexByte(text, '\n')+1:]
	return part{line: p.line + breaks, column: utf8.RuneCount(last), offset: p.offset + len(text)}
}

// split cuts a stream before each line that separates documents. A part begins
// with its separator, after which a comment or the document itself may follow.
func split(text []byte) []part {
	var parts []part
	begin, first, line := 0, 1, 1
	for at := 0; at < len(text); line++ {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if separates(text[at:end]) {
			switch before := text[begin:at]; {
			case !empty(before):
				parts = append(parts, part{text: before, line: first, offset: begin})
				begin, first = at, line
			case holdsSeparator(before): // a document that holds nothing
				begin, first = at, line
			}
		}
		at = end
	}
	return append(parts, part{text: text[begin:], line: first, offset: begin})
}

// holdsSeparator reports whether one of the lines of a text separates documents.
func holdsSeparator(text []byte) bool {
	for line := range bytes.Lines(text) {
		if separates(line) {
			return true
		}
	}
	return false
}

func separates(line []byte) bool {
	rest, dashes := bytes.CutPrefix(line, []byte("---"))
	return dashes && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
}

// empty tells whether a text holds nothing but separators, directives and
// comments.
func empty(text []byte) bool {
	for line := range bytes.Lines(text) {
		if separates(line) {
			line = line[len("---"):]
		}
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && string(line) != "..." {
			return false
		}
	}
	return true
}

// values takes JSON values that follow one another apart. Anything else is one
// document.
func values(part []byte) []*Document {
	inner := body(part)
	if !isJSON(inner) {
		return []*Document{{Text: part}}
	}
	var documents []*Document
	begin, next := 0, 0
	before := len(part) - len(inner) // the separator is the first one's
	for decoder := json.NewDecoder(bytes.NewReader(inner)); ; {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		end := before + int(decoder.InputOffset())
		switch {
		case errors.Is(err, io.EOF): // white space is left
			documents[len(documents)-1].Text = part[begin:]
			return documents
		case err != nil: // a flow mapping of YAML
			return []*Document{{Text: part}}
		}
		begin, next = next, end
		documents = append(documents, &Document{Text: part[begin:end]})
	}
}

// body is a text without its separator, unless something follows that on its line.
func body(text []byte) []byte {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(bytes.TrimSpace(line)) == "---" {
		return rest
	}
	return text
}

func isJSON(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }

// isJSON tells whether the document is written as JSON.
func (d *Document) isJSON() bool {
	inner := body(d.Text)
	return isJSON(inner) && json.Valid(inner)
}

// parse returns the document as JSON. A key that stands twice is an error: of two
// values the last would win, unnoticed.
func (d *Document) parse() ([]byte, error) {
	if d.isJSON() {
		raw := bytes.TrimSpace(body(d.Text))
		var fields map[string]any
		problems, err := kjson.UnmarshalStrict(raw, &fields)
		if err == nil {
			err = errors.Join(problems...)
		}
		return raw, sentence(err)
	}
	raw, err := yaml.YAMLToJSONStrict(d.Text)
	if err != nil && d.overrides() {
		return merged(d.Text)
	}
	if err != nil && d.Line > 1 {
		// Once more with lines before it, so that the message counts the file's.
		_, err = yaml.YAMLToJSONStrict(append(bytes.Repeat([]byte("\n"), d.Line-1), d.Text...))
	}
	return raw, sentence(err)
}

// overrides reports whether the document has merge keys and no key twice in what is written: then the strict
// decoder complains of keys that override merged ones, which is what merging is for. kubectl accepts them.
func (d *Document) overrides() bool {
	if !bytes.Contains(d.Text, []byte("<<")) {
		return false
	}
	root := d.parsed()
	return root != nil && !repeats(root)
}

// merged converts a document with merge keys as kubectl does.
func merged(text []byte) ([]byte, error) {
	raw, err := yaml.YAMLToJSON(text)
	return raw, sentence(err)
}

// repeats reports whether a mapping in a tree has a key twice.
func repeats(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.MappingNode {
		seen := make(map[string]bool, len(node.Content)/2)
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i]
			id := key.ShortTag() + " " + key.Value
			if key.Kind == yamlv3.ScalarNode && seen[id] {
				return true
			}
			seen[id] = true
		}
	}
	for _, child := range node.Content {
		if repeats(child) {
			return true
		}
	}
	return false
}

// IsTemplate reports whether a document that is not well-formed is a template as Helm has them, and the line
// of the file on which its first action is.
func (e *SyntaxError) IsTemplate() (line int, is bool) {
	at := bytes.Index(e.Document.Text, []byte("{{"))
	if at < 0 {
		return 0, false
	}
	return e.Document.Line + bytes.Count(e.Document.Text[:at], []byte("\n")), true
}

// sentence makes one line of a parser's message.
func sentence(err error) error {
	if err == nil {
		return nil
	}
	if line, _, is := strings.Cut(err.Error(), "invalid map key: "); is { // what follows is Go's
		at := ""
		if found := namedLine.FindString(line); found != "" {
			at = found + " "
		}
		return fmt.Errorf("not well-formed: %sa mapping cannot be a key, as it is in {{ … }} without quotes: put it in quotes, "+
			"or fill the template in first", at)
	}
	words := strings.NewReplacer("yaml: unmarshal errors:\n", "", "error converting YAML to JSON: ", "", "yaml: ", "",
		"\n", "; ", "  ", "").Replace(err.Error())
	return fmt.Errorf("not well-formed: %s", words)
}

// Objects returns the objects of a document: one, or the items of a List.
//
// The error says that the document is no Kubernetes object.
func (d *Document) Objects() ([]*Object, error) {
	objects, err := d.objects("", d.JSON, "", "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Where(), err)
	}
	return objects, nil
}

// NotAnObjectError says what a document is that has no apiVersion or no kind.
type NotAnObjectError struct{ what string }

func (e *NotAnObjectError) Error() string { return "not a Kubernetes object: " + e.what }

// objects reads an object at a pointer. The items of a typed list, such as a
// TaskRunList, may leave out what the list says of them.
func (d *Document) objects(pointer string, raw []byte, version, kind string) ([]*Object, error) {
	at := ""
	if pointer != "" {
		at = strings.TrimPrefix(pointer, "/") + " is "
	}
	fields, err := object.Decode(raw)
	if err != nil {
		return nil, &NotAnObjectError{at + shape(raw)}
	}
	o := &Object{Document: d, Pointer: pointer, Raw: raw, Fields: fields}
	if fields["kind"] == nil && fields["apiVersion"] == nil && kind != "" {
		fields["apiVersion"], fields["kind"] = version, kind
		if o.Raw, err = json.Marshal(fields); err != nil {
			return nil, err
		}
	}
	version, _ = fields["apiVersion"].(string)
	kind, _ = fields["kind"].(string)
	for key, value := range map[string]string{"apiVersion": version, "kind": kind} {
		if value == "" {
			return nil, &NotAnObjectError{at + "without " + key}
		}
	}
	items, list := fields["items"]
	if !list || !strings.HasSuffix(kind, "List") {
		return []*Object{o}, nil
	}
	return d.items(pointer, raw, items, version, strings.TrimSuffix(kind, "List"))
}

func (d *Document) items(pointer string, raw []byte, items any, version, kind string) ([]*Object, error) {
	if _, array := items.([]any); !array && items != nil {
		return nil, &NotAnObjectError{"the items of a List are no list"}
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var objects []*Object
	for i, item := range list.Items {
		found, err := d.objects(fmt.Sprintf("%s/items/%d", pointer, i), item, version, kind)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// shape says in words what JSON is that is no object.
func shape(raw []byte) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return "not JSON"
	}
	switch value.(type) {
	case []any:
		return "a list: put each object into a document of its own, or all into a `kind: List`"
	case string:
		return "a text"
	case nil:
		return "nothing"
	}
	return "a single value"
}
