package document

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/object"
)

// Rewrite returns the document's text after edit has changed its tree. Comments that the
// edit leaves on their nodes, blank lines and widths stay as the author wrote them. JSON
// is written anew, without comments.
//
// The edit is first called with a tree that has no anchors, aliases or merge keys; what it
// makes of that tree is what the text will mean. If the document has any, the edit is
// called once more with the tree as it is written (plain is false), and the anchors stay
// if the text then means the same.
func (d *Document) Rewrite(edit func(root *yaml.Node, plain bool) error) ([]byte, error) {
	tree, err := d.copyTree()
	if err != nil {
		return nil, err
	}
	shared := hasAliases(tree)
	if shared {
		inline(tree)
	}
	if err := edit(tree.Content[0], true); err != nil {
		return nil, err
	}
	want, err := meaning(tree)
	if err != nil {
		return nil, fmt.Errorf("changing %s: %w", d.Where(), err)
	}
	if d.isJSON() {
		text, err := indented(want)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", d.Where(), err)
		}
		return d.framed(text), nil
	}
	if shared {
		as, err := d.copyTree()
		if err != nil {
			return nil, err
		}
		if edit(as.Content[0], false) == nil {
			if text, ok := d.written(as, want); ok {
				return text, nil
			}
		}
	}
	if text, ok := d.written(tree, want); ok {
		return text, nil
	}
	return nil, fmt.Errorf("changing %s: its text cannot be written so that it means what is wanted", d.Where())
}

// framed puts what stands around a JSON value in the stream around another.
func (d *Document) framed(text []byte) []byte {
	inner := bytes.TrimSpace(body(d.Text))
	before, after, _ := bytes.Cut(d.Text, inner)
	return append(append(bytes.Clone(before), bytes.TrimSpace(text)...), after...)
}

// copyTree returns a fresh tree of the document's text.
func (d *Document) copyTree() (*yaml.Node, error) {
	var root yaml.Node
	err := yaml.Unmarshal(d.Text, &root)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Where(), err)
	}
	if len(root.Content) != 1 {
		return nil, fmt.Errorf("reading %s: there is no value in it", d.Where())
	}
	return &root, nil
}

// written writes a tree into the text. It reports false if the text would not mean what is
// wanted.
func (d *Document) written(after *yaml.Node, want map[string]any) ([]byte, bool) {
	before, err := d.copyTree()
	if err != nil {
		return nil, false
	}
	w := writer{compact: compact(before), separated: separates(d.Text)}
	plainMerges(before)
	plainMerges(after)
	old, ok := w.write(before)
	if !ok {
		return nil, false
	}
	now, ok := w.write(after)
	if !ok {
		return nil, false
	}
	if bytes.Equal(old, now) {
		return d.Text, d.says(d.Text, want)
	}
	for _, fine := range []bool{true, false} {
		if text, ok := graft(unreturned(d.Text), string(old), string(now), fine); ok {
			if revised := d.returned(text); d.says(revised, want) {
				return revised, true
			}
		}
	}
	revised := d.returned(string(now))
	return revised, d.says(revised, want)
}

// meaning returns what a tree says as JSON has it.
func meaning(tree *yaml.Node) (map[string]any, error) {
	text, err := yaml.Marshal(tree)
	if err != nil {
		return nil, err
	}
	raw, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	return object.Decode(raw)
}

func hasAliases(node *yaml.Node) bool {
	if node.Kind == yaml.AliasNode || node.Tag == "!!merge" {
		return true
	}
	for _, child := range node.Content {
		if hasAliases(child) {
			return true
		}
	}
	return false
}

// inline replaces aliases and merge keys by copies of what they stand for.
func inline(node *yaml.Node) {
	for i, child := range node.Content {
		if child.Kind == yaml.AliasNode {
			one := Clone(child.Alias)
			one.LineComment = child.LineComment
			node.Content[i] = one
		}
		inline(node.Content[i])
		node.Content[i].Anchor = ""
	}
	if node.Kind == yaml.MappingNode {
		mergeIn(node)
	}
}

// mergeIn puts the fields of the mappings that merge keys name in the place of these keys.
func mergeIn(node *yaml.Node) {
	own := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		own[node.Content[i].Value] = node.Content[i].Tag != "!!merge"
	}
	var content []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag != "!!merge" {
			content = append(content, key, value)
			continue
		}
		for _, from := range mergedIn(resolved(value)) {
			for j := 0; j+1 < len(from.Content); j += 2 {
				if name := from.Content[j].Value; !own[name] {
					own[name] = true
					content = append(content, Clone(from.Content[j]), Clone(from.Content[j+1]))
				}
			}
		}
	}
	node.Content = content
}

// Clone returns a deep copy of a tree, in which aliases name the same anchors as before.
func Clone(node *yaml.Node) *yaml.Node {
	one := *node
	one.Content = nil
	for _, child := range node.Content {
		one.Content = append(one.Content, Clone(child))
	}
	return &one
}

// Commented returns the document's text as comments below a heading. The separator, if
// there is one, stays.
func (d *Document) Commented(heading string) []byte {
	end := "\n"
	if bytes.Contains(d.Text, []byte("\r\n")) {
		end = "\r\n"
	}
	rest := string(d.Text)
	var out strings.Builder
	if separates(d.Text) {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.TrimSpace(line) == "---" || strings.HasPrefix(strings.TrimSpace(line[len("---"):]), "#") {
			out.WriteString(strings.TrimSuffix(line, "\r") + end)
			rest = after
		} else {
			out.WriteString("---" + end)
			rest = strings.TrimLeft(line[len("---"):], " \t") + "\n" + after
		}
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line == "..." || strings.HasPrefix(line, "#") {
			out.WriteString(line + end)
			continue
		}
		for said := range strings.Lines(heading) { // above the first line of the object
			out.WriteString("# " + strings.TrimRight(said, "\n") + end)
		}
		heading = ""
		out.WriteString("# " + line + end)
	}
	return []byte(out.String())
}
