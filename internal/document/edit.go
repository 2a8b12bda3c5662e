package document

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/object"
)

// Edited are two texts of a document that differ in what was changed alone.
type Edited struct {
	Before, After []byte
}

// Change is what becomes of one object of a document.
type Change struct {
	Object *Object
	Fields map[string]any // numbers as json.Number
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
	after, err := d.changed(changes)
	if err != nil {
		return Edited{}, err
	}
	if !d.isJSON() {
		if edited, ok := d.inPlace(before, after); ok {
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

// changed returns what has to come of the document.
func (d *Document) changed(changes []Change) (map[string]any, error) {
	fields, err := object.Decode(d.JSON)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		if change.Object.Pointer == "" {
			fields = change.Fields
			continue
		}
		list, i := itemsAt(fields, change.Object.Pointer)
		list[i] = change.Fields
	}
	return fields, nil
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
	err := display.JSON(&text, value)
	return text.Bytes(), err
}

// inPlace edits the tree of the text. It reports false where that cannot be done,
// or gives something else than what is wanted: an anchor, for example, would
// change all places that refer to it.
func (d *Document) inPlace(before, after map[string]any) (edited Edited, ok bool) {
	var root yaml.Node
	if yaml.Unmarshal(d.Text, &root) != nil || len(root.Content) != 1 {
		return Edited{}, false
	}
	plainMerges(&root)
	w := writer{compact: compact(&root), windows: bytes.Contains(d.Text, []byte("\r\n")), separated: separates(d.Text)}
	if edited.Before, ok = w.write(&root); !ok || !means(edited.Before, before) {
		return edited, false
	}
	turn(root.Content[0], before, after)
	edited.After, ok = w.write(&root)
	return edited, ok && means(edited.After, after)
}

// plainMerges keeps the encoder from writing `!!merge <<` for `<<`.
func plainMerges(node *yaml.Node) {
	if node.Tag == "!!merge" {
		node.Tag = ""
	}
	for _, child := range node.Content {
		plainMerges(child)
	}
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
		if node.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.SequenceNode &&
			child.Style&yaml.FlowStyle == 0 {
			return child.Column == node.Content[i-1].Column, true
		}
		if left, found = firstList(child); found {
			return left, found
		}
	}
	return false, false
}

// means tells whether a text says what is wanted.
func means(text []byte, want map[string]any) bool {
	raw, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return false
	}
	is, err := object.Decode(raw)
	return err == nil && reflect.DeepEqual(is, want)
}

// turn edits a tree that says before, so that it says after. It leaves alone what
// it does not know how to edit, a reference to an anchor, for one.
func turn(node *yaml.Node, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	was, fields := before.(map[string]any)
	is, still := after.(map[string]any)
	if fields && still && node.Kind == yaml.MappingNode {
		turnFields(node, was, is)
		return
	}
	had, list := before.([]any)
	has, still := after.([]any)
	if list && still && node.Kind == yaml.SequenceNode && len(had) == len(node.Content) {
		turnList(node, had, has)
		return
	}
	replace(node, after)
}

// turnFields keeps the order of what was there; what is new follows, by name.
func turnFields(node *yaml.Node, before, after map[string]any) {
	for i := 0; i+1 < len(node.Content); {
		key := node.Content[i].Value
		value, stays := after[key]
		if _, was := before[key]; was && !stays {
			node.Content = slices.Delete(node.Content, i, i+2)
			continue
		}
		if stays {
			turn(node.Content[i+1], before[key], value)
		}
		i += 2
	}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if _, was := before[key]; !was {
			node.Content = append(node.Content, nodeOf(key), nodeOf(after[key]))
		}
	}
}

// turnList leaves what a list begins and ends with as it is, as far as that is the
// same. What is left in the middle is turned one by one if it is as many, and
// else put in anew.
func turnList(node *yaml.Node, before, after []any) {
	head := 0
	for head < min(len(before), len(after)) && reflect.DeepEqual(before[head], after[head]) {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head &&
		reflect.DeepEqual(before[len(before)-1-tail], after[len(after)-1-tail]) {
		tail++
	}
	was, is := before[head:len(before)-tail], after[head:len(after)-tail]
	if len(was) == len(is) {
		for i := range is {
			turn(node.Content[head+i], was[i], is[i])
		}
		return
	}
	node.Content = slices.Replace(node.Content, head, len(before)-tail, aligned(node.Content[head:], was, is)...)
}

// aligned returns the items of a list that says after, out of those that say before:
// what is the same item still keeps its place, its order and its comments.
func aligned(nodes []*yaml.Node, before, after []any) []*yaml.Node {
	items := make([]*yaml.Node, 0, len(after))
	next := 0
	for _, value := range after {
		i := slices.IndexFunc(before[next:], func(was any) bool { return sameItem(was, value) })
		if i < 0 {
			items = append(items, nodeOf(value))
			continue
		}
		next += i
		turn(nodes[next], before[next], value)
		items = append(items, nodes[next])
		next++
	}
	return items
}

// sameItem tells whether an item of a list has become another: it has its name still.
func sameItem(before, after any) bool {
	was, _ := before.(map[string]any)
	is, _ := after.(map[string]any)
	name, named := was["name"].(string)
	return reflect.DeepEqual(before, after) || (named && name != "" && is["name"] == name)
}

// nodeOf returns a JSON value as a tree, its texts quoted where YAML would take
// them for something else.
func nodeOf(value any) *yaml.Node {
	text, err := sigsyaml.Marshal(value)
	var root yaml.Node
	if err != nil || yaml.Unmarshal(text, &root) != nil || len(root.Content) != 1 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} // which is then found not to be what is wanted
	}
	return root.Content[0]
}

// replace puts a value where another was, with its comments, and a text with its
// quotes.
func replace(node *yaml.Node, value any) {
	if node.Kind == yaml.AliasNode {
		return
	}
	now := nodeOf(value)
	now.HeadComment, now.FootComment = node.HeadComment, node.FootComment
	if now.Kind == yaml.ScalarNode { // behind anything else it would wander to the next line
		now.LineComment = node.LineComment
	}
	quoted := node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
	if node.Kind == yaml.ScalarNode && now.Kind == yaml.ScalarNode && now.ShortTag() == "!!str" && quoted != 0 {
		now.Style = quoted
	}
	*node = *now
}

// Revise makes changes to the document and returns its text. Unlike what Edit
// returns it is for a file: blank lines, widths and whatever else an encoder does not
// keep stay as the author wrote them, wherever nothing was changed.
//
// The text means what is wanted, or there is an error.
func (d *Document) Revise(changes ...Change) ([]byte, error) {
	edited, err := d.Edit(changes...)
	if err != nil {
		return nil, err
	}
	want, err := d.changed(changes)
	if err != nil {
		return nil, err
	}
	written := unreturned(d.Text)
	before, after := unreturned(edited.Before), unreturned(edited.After)
	for _, text := range grafted(written, before, after) {
		if revised := d.returned(text); d.says(revised, want) {
			return revised, nil
		}
	}
	if revised := d.returned(after); d.says(revised, want) {
		return revised, nil
	}
	return nil, fmt.Errorf("changing %s: its text cannot be written so that it means what is wanted", d.Where())
}

// says tells whether a text, read as the document was, is one document and says
// what is wanted.
func (d *Document) says(text []byte, want map[string]any) bool {
	again := unparsed(d.File, text)
	if len(again) != 1 {
		return false
	}
	raw, err := again[0].parse()
	if err != nil {
		return false
	}
	is, err := object.Decode(raw)
	return err == nil && reflect.DeepEqual(is, want)
}

func unreturned(text []byte) string { return strings.ReplaceAll(string(text), "\r\n", "\n") }

// returned gives lines the ends that the document's have.
func (d *Document) returned(text string) []byte {
	if bytes.Contains(d.Text, []byte("\r\n")) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return []byte(text)
}
