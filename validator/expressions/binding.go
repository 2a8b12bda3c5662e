package expressions

import (
	"cmp"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// relaxed is what Triggers v0.37.0 takes for JSONPath (pkg/template/jsonpath.go,
// jsonRegexp): with or without braces and a leading dot.
var relaxed = lazyregexp.New(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

// bindingPath parses the expression of a binding's value as Triggers does. An empty
// one is the empty text, and fine for it: then nodes is nil.
func bindingPath(e expression.Expression) (nodes []jsonpath.Node, problem string) {
	if e.Inner == "" {
		return nil, ""
	}
	match := relaxed.FindStringSubmatch(e.Inner)
	if match == nil {
		return nil, "it is neither a.b nor {.a.b}"
	}
	parser, err := parseJSONPath("{." + match[1] + match[2] + "}")
	if err != nil {
		return nil, err.Error()
	}
	for _, node := range parser.Root.Nodes {
		if list, is := node.(*jsonpath.ListNode); is {
			nodes = append(nodes, list.Nodes...)
		}
	}
	if name := strayWord(nodes); name != "" {
		return nil, fmt.Sprintf(
			"unrecognized identifier %s: put a text in quotes; a name ends at a blank, so let an overlay of CEL read one that has it",
			name)
	}
	return nodes, ""
}

// strayWord returns a word in a path that is no part of it: client-go parses it, and fails at it in an event. The
// word range alone passes there.
func strayWord(nodes []jsonpath.Node) string {
	for _, node := range nodes {
		found := ""
		switch n := node.(type) {
		case *jsonpath.IdentifierNode:
			if n.Name != "range" {
				found = n.Name
			}
		case *jsonpath.ListNode:
			found = strayWord(n.Nodes)
		case *jsonpath.FilterNode:
			found = cmp.Or(strayWord(n.Left.Nodes), strayWord(n.Right.Nodes))
		case *jsonpath.UnionNode:
			for _, list := range n.Nodes {
				found = cmp.Or(found, strayWord(list.Nodes))
			}
		}
		if found != "" {
			return found
		}
	}
	return ""
}

func parseJSONPath(path string) (parser *jsonpath.Parser, err error) {
	defer func() {
		if recover() != nil {
			parser, err = nil, errJSONPath
		}
	}()
	return jsonpath.Parse("binding", path)
}

// eventFields are those of an event (pkg/template/event.go); client-go finds them by
// their names in Go too.
var eventFields = []string{"body", "header", "extensions", "context", "Body", "Header", "Extensions", "Context"}

// errJSONPath stands for a panic of the parser.
var errJSONPath = errors.New("client-go cannot parse it")

// impossible says why no event ever has what a path leads to, "" where one may.
func impossible(nodes []jsonpath.Node) string {
	root, is := fieldOf(nodes, 0)
	if !is {
		return "" // a search at any depth
	}
	next, named := fieldOf(nodes, 1)
	switch {
	case !slices.Contains(eventFields, root):
		return fmt.Sprintf("events have body, header, extensions and context, and no %q", root)
	case strings.EqualFold(root, "context") && named && next != "eventID" && next != "EventID":
		return "the context of an event is its eventID and nothing else"
	case strings.EqualFold(root, "header") && named:
		return impossibleHeader(next, nodes[2:])
	}
	return ""
}

// impossibleHeader says the same of a header and what is looked up in it.
func impossibleHeader(name string, within []jsonpath.Node) string {
	reason := absentHeader(name)
	switch {
	case slices.Contains(absentHeaders, name):
		return reason
	case len(within) > 0:
		return fmt.Sprintf("a header is one text there, several values with commas between them: write $(header.%s)", name)
	case reason != "":
		return reason + ", and only header.NAME may be of any case"
	}
	return ""
}

// incomparable returns the integer with which a filter in a path compares something of an event,
// as JSONPath writes the comparison that works. Triggers has floats there, and text/template
// compares no integer with them, nor with anything else that JSON holds.
func incomparable(nodes []jsonpath.Node) (number string, is bool) {
	for _, node := range nodes {
		switch n := node.(type) {
		case *jsonpath.FilterNode:
			for _, side := range [][]jsonpath.Node{n.Left.Nodes, n.Right.Nodes} {
				if number, is := integerAmong(side); is && n.Operator != "exists" {
					return number, true
				}
				if number, is := incomparable(side); is {
					return number, true
				}
			}
		case *jsonpath.UnionNode:
			for _, list := range n.Nodes {
				if number, is := incomparable(list.Nodes); is {
					return number, true
				}
			}
		}
	}
	return "", false
}

func integerAmong(nodes []jsonpath.Node) (number string, is bool) {
	for _, node := range nodes {
		switch n := node.(type) {
		case *jsonpath.IntNode:
			return strconv.Itoa(n.Value) + ".0", true
		case *jsonpath.ListNode:
			if number, is := integerAmong(n.Nodes); is {
				return number, true
			}
		}
	}
	return "", false
}

func fieldOf(nodes []jsonpath.Node, at int) (string, bool) {
	if at >= len(nodes) {
		return "", false
	}
	field, is := nodes[at].(*jsonpath.FieldNode)
	if !is {
		return "", false
	}
	return field.Value, true
}

// headerAsWritten is an expression as Triggers looks it up: header.x-y is header.X-Y.
func headerAsWritten(e expression.Expression) expression.Expression {
	if name, is := strings.CutPrefix(e.Inner, "header."); is {
		e.Inner = "header." + textproto.CanonicalMIMEHeaderKey(name)
	}
	return e
}
