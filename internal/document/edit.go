package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"gomodules.xyz/jsonpatch/v2"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/object"
)

// Edited are two texts of a document that differ in what was changed alone.
type Edited struct {
	Before, After []byte
}

// Change is what becomes of one object of a document.
type Change struct {
	Object *Object
	Patch  []jsonpatch.Operation // from Object to Fields
	Fields map[string]any
}

// Edit makes changes to the document. The comments, the order and the style of
// YAML are kept where the text then means exactly what is wanted; else all of it
// is written anew. JSON always is.
//
// Before is the document written in the same way as After, so that a comparison
// shows no change of style.
func (d *Document) Edit(changes ...Change) (Edited, error) {
	before, err := object.Decode(d.JSON)
	if err != nil {
		return Edited{}, err
	}
	after, patch, err := d.changed(changes)
	if err != nil {
		return Edited{}, err
	}
	if !d.isJSON() {
		if edited, ok := d.inPlace(patch, after); ok {
			return edited, nil
		}
	}
	write := sigsyaml.Marshal
	if d.isJSON() {
		write = indented
	}
	var edited Edited
	if edited.Before, err = write(before); err != nil {
		return edited, fmt.Errorf("writing %s: %w", d.Where(), err)
	}
	if edited.After, err = write(after); err != nil {
		return edited, fmt.Errorf("writing %s: %w", d.Where(), err)
	}
	if separates(d.Text) {
		edited.After = append([]byte("---\n"), edited.After...)
		edited.Before = append([]byte("---\n"), edited.Before...)
	}
	return edited, nil
}

// changed returns what has to come of the document, and the patch that leads there.
func (d *Document) changed(changes []Change) (fields map[string]any, patch []jsonpatch.Operation, err error) {
	if fields, err = object.Decode(d.JSON); err != nil {
		return nil, nil, err
	}
	for _, change := range changes {
		for _, operation := range change.Patch {
			operation.Path = change.Object.Pointer + operation.Path
			patch = append(patch, operation)
		}
		if change.Object.Pointer == "" {
			fields = change.Fields
			continue
		}
		list, i := itemsAt(fields, change.Object.Pointer)
		list[i] = change.Fields
	}
	return fields, patch, nil
}

// itemsAt returns the list in which the object of a pointer stands, and where. The
// pointer is one that Objects has given.
func itemsAt(fields map[string]any, pointer string) (list []any, i int) {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/") // items, a number, items, a number
	for at := 1; at < len(tokens); at += 2 {
		list, _ = fields["items"].([]any)
		i, _ = strconv.Atoi(tokens[at])
		fields, _ = list[i].(map[string]any)
	}
	return list, i
}

func indented(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return text.Bytes(), err
}

// inPlace edits the tree of the text. It reports false where that cannot be done,
// or gives something else than what is wanted: an anchor, for example, would
// change all places that refer to it.
func (d *Document) inPlace(patch []jsonpatch.Operation, want map[string]any) (Edited, bool) {
	var root yaml.Node
	if yaml.Unmarshal(d.Text, &root) != nil || len(root.Content) != 1 {
		return Edited{}, false
	}
	w := writer{compact: compact(&root), windows: bytes.Contains(d.Text, []byte("\r\n")), separated: separates(d.Text)}
	before, ok := w.write(&root)
	if !ok {
		return Edited{}, false
	}
	for _, operation := range patch {
		if !apply(root.Content[0], operation) {
			return Edited{}, false
		}
	}
	after, ok := w.write(&root)
	if !ok || !means(before, d.JSON) {
		return Edited{}, false
	}
	wanted, err := json.Marshal(want)
	return Edited{Before: before, After: after}, err == nil && means(after, wanted)
}

// writer writes a tree in the style of the text that it came from.
type writer struct {
	compact   bool // whether lists stand as far left as their keys
	windows   bool // whether lines end with CR LF
	separated bool // whether it begins with a separator
}

func (w writer) write(root *yaml.Node) ([]byte, bool) {
	var text bytes.Buffer
	if w.separated {
		text.WriteString("---\n")
	}
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if w.compact {
		encoder.CompactSeqIndent()
	}
	if encoder.Encode(root) != nil || encoder.Close() != nil {
		return nil, false
	}
	if w.windows {
		return bytes.ReplaceAll(text.Bytes(), []byte("\n"), []byte("\r\n")), true
	}
	return text.Bytes(), true
}

// compact tells whether lists stand as far left as their keys, as the first of
// them does.
func compact(node *yaml.Node) bool {
	left, found := firstList(node)
	return left || !found
}

func firstList(node *yaml.Node) (left, found bool) {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.SequenceNode && child.Style&yaml.FlowStyle == 0 {
			return child.Column == node.Content[i-1].Column, true
		}
		if left, found = firstList(child); found {
			return left, found
		}
	}
	return false, false
}

// means tells whether a text says the same as JSON.
func means(text, raw []byte) bool {
	converted, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return false
	}
	is, err := object.Decode(converted)
	if err != nil {
		return false
	}
	want, err := object.Decode(raw)
	return err == nil && reflect.DeepEqual(is, want)
}

// apply does one operation of a patch, and reports whether it could.
func apply(node *yaml.Node, operation jsonpatch.Operation) bool {
	tokens := strings.Split(operation.Path, "/")
	if len(tokens) < 2 {
		return false // the whole document
	}
	for _, token := range tokens[1 : len(tokens)-1] {
		if node = child(node, unescape(token)); node == nil {
			return false
		}
	}
	var value *yaml.Node
	if operation.Operation != "remove" {
		if value = nodeOf(operation.Value); value == nil {
			return false
		}
	}
	last := unescape(tokens[len(tokens)-1])
	switch node.Kind {
	case yaml.MappingNode:
		return inMapping(node, last, value)
	case yaml.SequenceNode:
		return inSequence(node, last, operation.Operation, value)
	}
	return false
}

func unescape(token string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
}

// nodeOf returns a JSON value as a tree, its texts quoted where YAML would take
// them for something else.
func nodeOf(value any) *yaml.Node {
	text, err := sigsyaml.Marshal(value)
	var root yaml.Node
	if err != nil || yaml.Unmarshal(text, &root) != nil || len(root.Content) != 1 {
		return nil
	}
	return root.Content[0]
}

// child returns what stands at a key or an index, nil for nothing.
func child(node *yaml.Node, token string) *yaml.Node {
	switch node.Kind {
	case yaml.MappingNode:
		if i := keyAt(node, token); i >= 0 {
			return node.Content[i+1]
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
	}
	return nil
}

func keyAt(node *yaml.Node, key string) int {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// inMapping sets a field, or removes it where value is nil.
func inMapping(node *yaml.Node, key string, value *yaml.Node) bool {
	i := keyAt(node, key)
	switch {
	case i < 0 && value == nil:
		return false
	case value == nil:
		node.Content = append(node.Content[:i], node.Content[i+2:]...)
	case i >= 0:
		node.Content[i+1] = inPlaceOf(node.Content[i+1], value)
	default:
		name := nodeOf(key)
		node.Content = append(node.Content, name, value)
	}
	return true
}

func inSequence(node *yaml.Node, token, operation string, value *yaml.Node) bool {
	i, err := strconv.Atoi(token)
	if token == "-" {
		i, err = len(node.Content), nil
	}
	switch {
	case err != nil || i < 0 || i > len(node.Content):
		return false
	case operation == "add":
		node.Content = append(node.Content[:i], append([]*yaml.Node{value}, node.Content[i:]...)...)
	case i == len(node.Content):
		return false
	case operation == "remove":
		node.Content = append(node.Content[:i], node.Content[i+1:]...)
	default:
		node.Content[i] = inPlaceOf(node.Content[i], value)
	}
	return true
}

// inPlaceOf gives a new value the comments of the old one, and a text its quotes.
func inPlaceOf(old, value *yaml.Node) *yaml.Node {
	value.HeadComment, value.LineComment, value.FootComment = old.HeadComment, old.LineComment, old.FootComment
	if old.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && old.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && value.ShortTag() == "!!str" {
		value.Style = old.Style
	}
	return value
}
