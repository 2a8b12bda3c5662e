package document

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Position returns line and column of a path in an object, from 1, as an editor
// counts them. The path is written like spec.triggers[0].ref, keys that are no plain
// names in brackets: metadata.annotations[example.com/a].
//
// It is the place of the value where that begins beside its key, and else of the
// key. What is not there has the place of the last thing on the way that is. Values
// that come through an anchor are where they are written.
//
// The text is taken apart once per document, on the first call, since most documents
// are never asked about. Position is not for concurrent use on one document.
func (o *Object) Position(path string) (line, column int) {
	steps := append(stepsOfPointer(o.Pointer), ParsePath(path)...)
	return o.Document.position(steps, false)
}

// KeyPosition is Position, but returns the place of the key, not of the value beside it.
func (o *Object) KeyPosition(path string) (line, column int) {
	steps := append(stepsOfPointer(o.Pointer), ParsePath(path)...)
	return o.Document.position(steps, true)
}

// Position returns line and column of a path in the whole document, see
// Object.Position.
func (d *Document) Position(path string) (line, column int) {
	return d.position(ParsePath(path), false)
}

// ParsePath takes a path apart into keys and the positions in lists, in decimal.
func ParsePath(path string) []string {
	var steps []string
	for path != "" {
		if path[0] == '.' {
			path = path[1:]
			continue
		}
		if path[0] == '[' {
			if end := closing(path); end > 0 {
				steps = append(steps, path[1:end])
				path = path[end+1:]
				continue
			}
		}
		end := strings.IndexAny(path[1:], ".[") + 1
		if end == 0 {
			end = len(path)
		}
		steps = append(steps, path[:end])
		path = path[end:]
	}
	return steps
}

// closing returns where the bracket closes that a path begins with: a key may hold
// brackets itself. It is 0 where none does.
func closing(path string) int {
	for i := 1; i < len(path); i++ {
		if path[i] == ']' && (i+1 == len(path) || path[i+1] == '.' || path[i+1] == '[') {
			return i
		}
	}
	return 0
}

func stepsOfPointer(pointer string) []string {
	if pointer == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(pointer, "/"), "/") // Objects gives no key that has to be escaped
}

// tree is the text of a document as a tree. It has no root where the text cannot be
// read as one.
type tree struct{ root *yaml.Node }

// half matches one half of a character that JSON writes as two; YAML knows no halves.
var half = lazyregexp.New(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)

func (d *Document) parsed() *yaml.Node {
	if d.tree == nil {
		text := d.Text
		if d.isJSON() {
			text = half.ReplaceAll(text, []byte(`\u0020`)) // of the same length
		}
		var root yaml.Node
		d.tree = &tree{}
		if yaml.Unmarshal(text, &root) == nil && len(root.Content) == 1 {
			d.tree.root = root.Content[0]
		}
	}
	return d.tree.root
}

func (d *Document) position(steps []string, ofKey bool) (line, column int) {
	root := d.parsed()
	if root == nil {
		return d.Line, d.column + 1
	}
	at := place{key: root, value: root}
	all := true
	for _, step := range steps {
		next, there := at.step(step)
		if !there {
			all = false
			break
		}
		at = next
	}
	node := at.key
	if all && !ofKey && at.value.Line == at.key.Line {
		node = at.value
	}
	if node.Line == 1 {
		return d.Line, d.column + node.Column
	}
	return d.Line + node.Line - 1, node.Column
}

// place is where a value stands: after a key, or as an item of a list, which has no
// key but itself.
type place struct{ key, value *yaml.Node }

func (p place) step(name string) (place, bool) {
	node := resolved(p.value)
	switch node.Kind {
	case yaml.MappingNode:
		return field(node, name, maxMerges)
	case yaml.SequenceNode:
		i, err := strconv.Atoi(name)
		if err == nil && i >= 0 && i < len(node.Content) {
			return place{node.Content[i], node.Content[i]}, true
		}
	}
	return place{}, false
}

// maxMerges bounds how many merge keys lead from one mapping to the next.
const maxMerges = 16

// field finds a key in a mapping, and else in what the mapping merges in.
func field(node *yaml.Node, name string, depth int) (place, bool) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if key := node.Content[i]; key.Value == name && key.Tag != "!!merge" {
			return place{key, node.Content[i+1]}, true
		}
	}
	for i := 0; i+1 < len(node.Content) && depth > 0; i += 2 {
		if node.Content[i].Tag != "!!merge" {
			continue
		}
		for _, from := range mergedIn(resolved(node.Content[i+1])) {
			if found, ok := field(from, name, depth-1); ok {
				return found, true
			}
		}
	}
	return place{}, false
}

// mergedIn returns the mappings that a merge key names.
func mergedIn(value *yaml.Node) []*yaml.Node {
	switch value.Kind {
	case yaml.MappingNode:
		return []*yaml.Node{value}
	case yaml.SequenceNode:
		var all []*yaml.Node
		for _, item := range value.Content {
			if m := resolved(item); m.Kind == yaml.MappingNode {
				all = append(all, m)
			}
		}
		return all
	}
	return nil
}

func resolved(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// Comment is a comment of a line that begins with some word.
type Comment struct {
	Line, Column int    // where it begins, from 1
	Text         string // what follows the word, trimmed
	Alone        bool   // whether it has the line to itself
}

// Comments returns the comments that say a word first, such as `tekgate:` in
// `# tekgate: ignore …`. The text is but searched: what looks like such a comment in a
// text of several lines counts as one, which helps where that is a script.
func (d *Document) Comments(word string) []Comment {
	if !bytes.Contains(d.Text, []byte(word)) || d.isJSON() {
		return nil
	}
	var found []Comment
	number := d.Line
	for line := range bytes.Lines(d.Text) {
		if c, ok := comment(string(line), word); ok {
			c.Line = number
			found = append(found, c)
		}
		number++
	}
	return found
}

func comment(line, word string) (Comment, bool) {
	for i := range line {
		if line[i] != '#' || (i > 0 && line[i-1] != ' ' && line[i-1] != '\t') {
			continue
		}
		if rest, said := strings.CutPrefix(strings.TrimLeft(line[i+1:], " \t"), word); said {
			return Comment{Column: i + 1, Text: strings.TrimSpace(rest), Alone: strings.TrimSpace(line[:i]) == ""}, true
		}
	}
	return Comment{}, false
}
