package expressions

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/tektoncd/triggers/pkg/template"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/jsonpath"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// shape is what kind of value an expression has in an event.
type shape int

// The shapes. Of a value that only the sender knows nothing is known.
const (
	unknownShape shape = iota
	textShape          // a text, a number or a boolean
	listShape
	objectShape
)

// sample is a value of a shape as Triggers puts it into a template.
func (s shape) sample() string {
	switch s {
	case listShape:
		return `["x"]`
	case objectShape:
		return `{"x":"x"}`
	}
	return "x"
}

// extension is what an interceptor sets.
type extension struct {
	shape  shape
	fields map[string]*extension // those of an object that are known
	open   bool                  // whether there may be more below it
	path   string                // of the overlay that sets it, "" for another interceptor's
	key    string                // that overlay's
	header bool                  // whether it is a header with all its values
}

// set adds an extension at a key, whose dots lead into objects.
func (e *extension) set(key string, to *extension) {
	name, rest, nested := strings.Cut(key, ".")
	if e.fields == nil {
		e.fields = map[string]*extension{}
	}
	if !nested {
		e.fields[name] = to
		return
	}
	inner := e.fields[name]
	if inner == nil {
		inner = &extension{shape: objectShape, path: to.path, key: to.key}
		e.fields[name] = inner
	}
	inner.set(rest, to)
}

func (e *extension) names() []string { return rule.SortedKeys(anyOf(e.fields)) }

func anyOf(fields map[string]*extension) map[string]any {
	out := make(map[string]any, len(fields))
	for name := range fields {
		out[name] = nil
	}
	return out
}

// lookUp follows the fields of a JSONPath below extensions. It returns what is there, and, where an
// interceptor that is known cannot set it, the path of names to the first that is missing and what is
// beside that.
func (e *extension) lookUp(nodes []jsonpath.Node) (found *extension, missing []string, beside *extension) {
	at := e
	var names []string
	for i := range nodes {
		name, is := fieldOf(nodes, i)
		if !is || at.shape != objectShape {
			return nil, nil, nil
		}
		names = append(names, name)
		next := at.fields[name]
		if next == nil {
			if at.open {
				return nil, nil, nil
			}
			return nil, names, at
		}
		at = next
	}
	return at, nil, nil
}

// gitExtensions are the fields that Tekgate's interceptor sets below extensions.git, see
// interceptor/provider.Git. All are texts.
var gitExtensions = []string{"provider", "event", "action", "ref", "refType", "branch", "tag", "sha", "before", "deleted",
	"forced", "repository", "cloneURL", "sshURL", "defaultBranch", "pullRequest", "merged", "draft", "fromFork",
	"sourceBranch", "targetBranch", "sender", "changedFiles", "changedFilesComplete", "deliveryID", "verified", "verifiedBy"}

// extensionsOf returns what the interceptors of a trigger set, with those of the groups that may pick it. Of an
// interceptor that is not known, such as a webhook, all may come: then the result is open.
func extensionsOf(ctx context.Context, p *rule.Pass, t walk.Trigger) *extension {
	all := &extension{shape: objectShape}
	chains := []walk.Trigger{t}
	if p.Kind.Kind == "Trigger" {
		groups, known := groupsAround(ctx, p)
		all.open = !known
		chains = append(chains, groups...)
	}
	for _, in := range walk.InterceptorsIn(chains...) {
		if in.Kind != "ClusterInterceptor" {
			all.open = true
			continue
		}
		switch in.Name {
		case "cel":
			for _, text := range celTextsOf(in) {
				if !text.Filter {
					all.set(text.Key, overlayOf(p, text))
				}
			}
		case "tekgate":
			git := &extension{shape: objectShape}
			for _, name := range gitExtensions {
				git.set(name, &extension{shape: textShape})
			}
			all.set("git", git)
		case "github":
			if in.Params["addChangedFiles"].Value != nil {
				all.set("changed_files", &extension{shape: textShape})
			}
		case "slack":
			fields, _ := in.Params["requestedFields"].Value.([]any)
			for _, field := range fields {
				if name, is := field.(string); is {
					all.set(name, &extension{})
				}
			}
		case "gitlab", "bitbucket":
		default:
			all.open = true
		}
	}
	return all
}

// groupsAround returns the trigger groups of the EventListeners that there are, each of which may pick this
// Trigger. It reports false if they cannot be known: at admission, and where no EventListener is in the set.
func groupsAround(ctx context.Context, p *rule.Pass) (groups []walk.Trigger, known bool) {
	var r object.Reader
	if !p.Offline {
		return nil, false
	}
	kind := schema.GroupKind{Group: rule.TriggersGroup, Kind: "EventListener"}
	names, err := p.Cluster.Names(ctx, kind, "")
	if err != nil || len(names) == 0 {
		return nil, false
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p.Step(1)
		listener, err := p.Cluster.Get(ctx, kind, "", name)
		if err != nil || listener == nil {
			return nil, false
		}
		for _, fields := range r.FieldsList(r.Fields(listener, "spec"), "triggerGroups") {
			groups = append(groups, walk.Trigger{Fields: fields})
		}
	}
	return groups, true
}

// overlayOf returns what an overlay of CEL sets.
func overlayOf(p *rule.Pass, text celText) *extension {
	set := &extension{path: text.Path, key: text.Key}
	compiled, _ := compileCEL(p, text.Value)
	if compiled == nil {
		set.shape, set.open = unknownShape, true
		return set
	}
	switch compiled.OutputType().Kind() {
	case cel.ListKind:
		set.shape = listShape
	case cel.MapKind:
		set.shape, set.open = objectShape, true
	case cel.StringKind, cel.BoolKind, cel.IntKind, cel.DoubleKind:
		set.shape = textShape
	case cel.DynKind:
		if isWholeHeader(compiled.NativeRep().Expr()) {
			set.shape, set.header = listShape, true
		}
	}
	return set
}

// isWholeHeader reports whether an expression is header['X'] or header.X, of which CEL has a list.
func isWholeHeader(e ast.Expr) bool {
	of := e
	switch e.Kind() {
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return false
		}
		of = e.AsSelect().Operand()
	case ast.CallKind:
		if e.AsCall().FunctionName() != "_[_]" {
			return false
		}
		of = e.AsCall().Args()[0]
	}
	return e.Kind() != ast.IdentKind && of.Kind() == ast.IdentKind && of.AsIdent() == "header"
}

// structured is an expression in a binding whose value is an object or a list.
type structured struct {
	text  string
	shape shape
	what  string // what it is, and how to take a part of it
}

// structureOf returns what is known of the value of a binding's expression.
func structureOf(text string, nodes []jsonpath.Node, set *extension) structured {
	root, is := fieldOf(nodes, 0)
	if !is {
		return structured{}
	}
	found := structured{text: text, shape: objectShape}
	switch root = strings.ToLower(root); {
	case len(nodes) == 1 && root == "body":
		found.what = "the whole payload: name a field of it, such as $(body.after), or annotate the TriggerTemplate with " +
			template.OldEscapeAnnotation
	case len(nodes) == 1 && root == "header":
		found.what = "all headers: name one, such as $(header.X-GitHub-Event)"
	case len(nodes) == 1 && root == "context":
		found.what = "the event's context: write $(context.eventID)"
	case root == "extensions":
		return structureOfExtension(found, nodes, set)
	default:
		return structured{}
	}
	return found
}

func structureOfExtension(found structured, nodes []jsonpath.Node, set *extension) structured {
	if len(nodes) == 1 && len(set.fields) == 0 {
		return structured{} // there may be none
	}
	if len(nodes) == 1 {
		found.what = "all extensions: name one of them"
		return found
	}
	there, _, _ := set.lookUp(nodes[1:])
	switch {
	case there == nil || there.shape != objectShape && there.shape != listShape:
		return structured{}
	case there.header:
		found.what = "a list, as CEL has every header: write header.canonical('NAME') in the overlay"
	case there.shape == listShape:
		found.what = "a list: write .marshalJSON() behind the overlay's expression, or take one item, such as [0]"
	case there.open:
		found.what = "an object: name a field of it, or write .marshalJSON() behind the overlay's expression"
	default:
		found.what = "an object: name a field of it, such as " + strconv.Quote(cmp.Or(there.names()...))
	}
	found.shape = there.shape
	return found
}
