package expressions

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// hintOfPath is a sentence about an expression of a binding that reads something else than what
// it seems to read; "" for most. Nodes are what JSONPath makes of it.
func hintOfPath(e expression.Expression, nodes []jsonpath.Node) string {
	if e.Inner == "" {
		return "$() is the empty text for every event: name what it should hold, or leave it out"
	}
	if key := dottedKey(e.Inner); key != "" {
		return fmt.Sprintf("%s looks for %s, one member below the other, and not for one of that name: write ['%s'] for that",
			e.Text, strings.Join(strings.Split(key, "."), " and "), strings.ReplaceAll(key, ".", `\.`))
	}
	if hasInexact(nodes) {
		return fmt.Sprintf("%s compares with a number above %d, and Triggers holds no more digits of an event's numbers, so others equal it",
			e.Text, maxExact)
	}
	return ""
}

// quotedKey matches one quoted key in brackets. Only that much of a path is lost when client-go
// has parsed it, which takes dots in quotes for those between fields.
var quotedKey = lazyregexp.New(`\['([^']*)'\]`)

// dottedKey returns the first quoted key of a path that has a dot, "" where none does. Keys
// within filters count too: client-go reads them in the same way.
func dottedKey(path string) string {
	for _, match := range quotedKey.FindAllStringSubmatch(path, -1) {
		if strings.Contains(strings.ReplaceAll(match[1], `\.`, ""), ".") {
			return match[1]
		}
	}
	return ""
}

// hasInexact reports whether a filter has a number that a float may not hold.
func hasInexact(nodes []jsonpath.Node) bool {
	return slices.ContainsFunc(nodes, func(node jsonpath.Node) bool {
		switch n := node.(type) {
		case *jsonpath.FloatNode:
			return n.Value > maxExact || n.Value < -maxExact
		case *jsonpath.ListNode:
			return hasInexact(n.Nodes)
		case *jsonpath.FilterNode:
			return hasInexact(n.Left.Nodes) || hasInexact(n.Right.Nodes)
		}
		return false
	})
}

// manyShape is the shape of what a path leads to, as far as its form or the payloads of forges
// tell. What is that in words, and remedy how to take a part of it.
func manyShape(nodes []jsonpath.Node) (of shape, what, remedy string) {
	const item = "take one item, such as [0], or let an overlay of CEL join them"
	path, plain := eventPath(nodes)
	switch {
	case plain && slices.Contains(lists, path):
		return listShape, "a list in the payloads of forges", item
	case plain && slices.Contains(objects, path):
		return objectShape, "an object in the payloads of forges", "name a field of it"
	case !plain && manyOf(nodes):
		return listShape, "a list where it finds several values", item
	}
	return unknownShape, "", ""
}

// hintOfDefault is a sentence about an expression for which the default of the TriggerTemplate's
// param is not taken, though the event has nothing there; "" for most.
func hintOfDefault(e expression.Expression, nodes []jsonpath.Node, gitee bool) string {
	if root, is := fieldOf(nodes, 0); !is || !strings.EqualFold(root, "body") {
		return ""
	}
	path, plain := eventPath(nodes)
	if plain && mayBeNull(path, gitee) {
		return fmt.Sprintf("%s is the text null, and not the default, where it is null, as forges send it in some events", e.Text)
	}
	for i, node := range nodes {
		switch n := node.(type) {
		case *jsonpath.FilterNode:
			return fmt.Sprintf("%s is the text [], and not the default, where nothing fits the filter", e.Text)
		case *jsonpath.ArrayNode:
			before, _ := eventPath(nodes[:i])
			if isSingle(n) && mayBeNull(before, gitee) {
				return fmt.Sprintf("%s is the text [], and not the default, where %s is null, as the forge sends it in some events",
					e.Text, before)
			}
		}
	}
	return ""
}
