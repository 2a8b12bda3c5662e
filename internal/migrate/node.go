package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// actual returns what a node stands for: the anchored node of an alias, or itself.
func actual(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// at returns where a mapping holds a key itself, or -1.
func at(node *yaml.Node, key string) int {
	if node = actual(node); node == nil || node.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key && node.Content[i].Tag != "!!merge" {
			return i
		}
	}
	return -1
}

// get returns the value below a path of keys, or nil. A null is nil too.
func get(node *yaml.Node, path ...string) *yaml.Node {
	node = actual(node)
	for _, key := range path {
		i := at(node, key)
		if i < 0 {
			return nil
		}
		node = actual(node.Content[i+1])
	}
	if node != nil && node.Tag == "!!null" {
		return nil
	}
	return node
}

// text returns the scalar below a path of keys, or "".
func text(node *yaml.Node, path ...string) string {
	if found := get(node, path...); found != nil && found.Kind == yaml.ScalarNode {
		return found.Value
	}
	return ""
}

// items returns the items of the list below a path of keys.
func items(node *yaml.Node, path ...string) []*yaml.Node {
	found := get(node, path...)
	if found == nil || found.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]*yaml.Node, 0, len(found.Content))
	for _, item := range found.Content {
		all = append(all, actual(item))
	}
	return all
}

// keys returns the keys of a mapping, in order.
func keys(node *yaml.Node) []string {
	var all []string
	if node = actual(node); node != nil && node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			all = append(all, node.Content[i].Value)
		}
	}
	return all
}

// str is a text as a node, quoted where YAML needs it.
func str(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	return node
}

// mapping is a mapping of keys and values, which are nodes or texts, by turns.
func mapping(pairs ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, one := range pairs {
		node.Content = append(node.Content, nodeOf(one))
	}
	return node
}

// list is a list of nodes or texts.
func list(values ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, one := range values {
		node.Content = append(node.Content, nodeOf(one))
	}
	return node
}

func nodeOf(value any) *yaml.Node {
	switch value := value.(type) {
	case *yaml.Node:
		return value
	case string:
		return str(value)
	case bool:
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"}
		if value {
			node.Value = "true"
		}
		return node
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// set gives a key of a mapping a value. A new key comes last.
func set(node *yaml.Node, key string, value any) {
	node = actual(node)
	if i := at(node, key); i >= 0 {
		node.Content[i+1] = nodeOf(value)
		return
	}
	insert(node, len(node.Content), key, value)
}

// insert puts a key and a value at a position of a mapping's content.
func insert(node *yaml.Node, i int, key string, value any) {
	node = actual(node)
	blockStyle(node)
	node.Content = slices.Insert(node.Content, i, str(key), nodeOf(value))
}

// blockStyle gives a flow mapping that is empty the style of others.
func blockStyle(node *yaml.Node) {
	if len(node.Content) == 0 {
		node.Style &^= yaml.FlowStyle
	}
}

// take removes a key from a mapping and returns the key and its value, or nil.
func take(node *yaml.Node, key string) (name, value *yaml.Node) {
	i := at(node, key)
	if i < 0 {
		return nil, nil
	}
	node = actual(node)
	name, value = node.Content[i], node.Content[i+1]
	node.Content = slices.Delete(node.Content, i, i+2)
	return name, value
}

// rename gives a key another name, in its place and with its comments. If the mapping has
// the new name already, the old key is only removed.
func rename(node *yaml.Node, old, now string) {
	i := at(node, old)
	switch {
	case i < 0:
	case at(node, now) >= 0:
		take(node, old)
	default:
		actual(node).Content[i].Value = now
	}
}

// below returns the mapping at a key and makes it if it is not there.
func below(node *yaml.Node, key string) *yaml.Node {
	if found := get(node, key); found != nil {
		return found
	}
	set(node, key, mapping())
	return get(node, key)
}

// add appends items to the list at a key, which it makes at position i of the mapping's
// content if it is not there; a negative i is the end.
func add(node *yaml.Node, i int, key string, values ...*yaml.Node) {
	if len(values) == 0 {
		return
	}
	there := get(node, key)
	if there != nil && there.Kind == yaml.SequenceNode {
		lined(there, values)
		there.Content = append(there.Content, values...)
		return
	}
	take(node, key)
	if i < 0 || i > len(actual(node).Content) {
		i = len(actual(node).Content)
	}
	made := list()
	made.Content = values
	insert(node, i, key, made)
}

// prepend puts items before those of the list at a key.
func prepend(node *yaml.Node, key string, values ...*yaml.Node) {
	there := get(node, key)
	if there == nil || there.Kind != yaml.SequenceNode {
		add(node, -1, key, values...)
		return
	}
	lined(there, values)
	there.Content = append(slices.Clone(values), there.Content...)
}

// lined gives a list a line for each item, if mappings are put into it.
func lined(list *yaml.Node, values []*yaml.Node) {
	mappings := slices.ContainsFunc(values, func(v *yaml.Node) bool { return v.Kind == yaml.MappingNode })
	if len(list.Content) == 0 || mappings {
		list.Style &^= yaml.FlowStyle
	}
}

// unfold takes the braces and brackets from around texts of several lines, and reports
// whether there are any.
func unfold(node *yaml.Node) bool {
	there := node.Kind == yaml.ScalarNode && node.Style&yaml.LiteralStyle != 0
	for _, child := range node.Content {
		there = unfold(child) || there
	}
	if there && node.Kind != yaml.ScalarNode {
		node.Style &^= yaml.FlowStyle
	}
	return there
}

// above returns the comments above and beside some keys of a mapping.
func above(node *yaml.Node, names ...string) string {
	all := ""
	for _, name := range names {
		if i := at(node, name); i >= 0 {
			key := actual(node).Content[i]
			all = joined(joined(all, key.HeadComment), key.LineComment)
			if get(node, name) != nil {
				all = joined(all, actual(node).Content[i+1].HeadComment)
			}
		}
	}
	return all
}

// keep puts comments of keys that are gone above the key at a position, or the last one.
func keep(node *yaml.Node, place int, comments string) {
	if comments == "" || len(node.Content) == 0 {
		return
	}
	if place < 0 || place >= len(node.Content) {
		place = len(node.Content) - 2
	}
	key := node.Content[place]
	if !strings.Contains(key.HeadComment, comments) {
		key.HeadComment = joined(comments, key.HeadComment)
	}
}

// eachText calls visit with every scalar below a node, those of keys excepted. An anchored
// node is visited where it stands.
func eachText(node *yaml.Node, visit func(*yaml.Node)) {
	switch {
	case node == nil:
	case node.Kind == yaml.ScalarNode:
		visit(node)
	case node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			eachText(actual(node.Content[i+1]), visit)
		}
	default:
		for _, child := range node.Content {
			eachText(actual(child), visit)
		}
	}
}

// comment puts a line of comment before a node, after those that stand there.
func comment(node *yaml.Node, words string) {
	var lines []string
	line := "#"
	for _, word := range strings.Fields(words) {
		if len(line)+1+len(word) > 100 {
			lines = append(lines, line)
			line = "#  "
		}
		line += " " + word
	}
	lines = append(lines, line)
	if node.HeadComment != "" {
		lines = append([]string{node.HeadComment}, lines...)
	}
	node.HeadComment = strings.Join(lines, "\n")
}
