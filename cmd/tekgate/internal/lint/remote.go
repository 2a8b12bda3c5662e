package lint

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/resolve"
	"github.com/tekgate/tekgate/validator"
)

// Limits of all references together.
const (
	resolvePatience = 5 * time.Minute
	maxDepth        = 8    // definitions that name one another
	maxDefinitions  = 1000 // in one run, with those that are there several times
)

// remote is what came of the remote references of an object.
type remote struct {
	resolved    map[string]validator.Resolved // by path
	findings    []validator.Finding           // references that could not be resolved
	notes       []string                      // references that cannot be known
	definitions []definitionAt
}

// definitionAt is a definition that a reference leads to, directly or through others.
type definitionAt struct {
	path    string // of the reference in the object of the file
	name    string // how messages call it
	subject validator.Subject
}

// resolveAll resolves the references of all objects.
func (j *judgement) resolveAll(ctx context.Context, objects []*linted) error {
	for _, o := range objects {
		o.remote = nil
	}
	if j.resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	var count atomic.Int64
	group := errgroup.Group{}
	group.SetLimit(8)
	for _, o := range objects {
		if !validator.Matches(o.subject.Kind) {
			continue
		}
		group.Go(func() error {
			e := &expansion{resolver: j.resolver, unknowns: o.unknown(), count: &count, remote: &remote{}}
			e.resolved = e.expand(ctx, o.subject, nil, reached{})
			e.expandAnnotated(ctx, o.subject)
			e.sort()
			o.remote, o.subject.Resolved = e.remote, e.resolved
			return nil
		})
	}
	return group.Wait()
}

// expansion resolves the references of one object, and those of what they lead to.
type expansion struct {
	resolver *resolve.Resolver
	unknowns map[string]string // variables without a value, by what is in their place
	count    *atomic.Int64

	mutex sync.Mutex
	*remote
}

// reached says how a definition was reached. It is empty for the object of a file.
type reached struct {
	path  string   // of the first reference
	in    string   // how messages call the definition
	chain []string // the keys of the requests that led to it
}

// expand returns what the references of an object lead to, by their paths.
func (e *expansion) expand(ctx context.Context, subject validator.Subject, params []map[string]any,
	from reached) map[string]validator.Resolved {
	references := validator.RemoteReferences(subject, params)
	found := make([]validator.Resolved, len(references))
	var group sync.WaitGroup
	for i, ref := range references {
		group.Go(func() { found[i] = e.follow(ctx, subject, ref, from) })
	}
	group.Wait()
	resolved := map[string]validator.Resolved{}
	for i, ref := range references {
		if found[i].Fields != nil {
			resolved[ref.Path] = found[i]
		}
	}
	return resolved
}

// follow resolves one reference, and those of what it leads to.
func (e *expansion) follow(ctx context.Context, subject validator.Subject, ref validator.RemoteReference,
	from reached) validator.Resolved {
	at := from
	if from.path == "" {
		at.path = ref.Path
	}
	if note := e.unknown(ref); note != "" {
		if note != silent {
			e.note(at, ref, note)
		}
		return validator.Resolved{}
	}
	request := resolve.Request{Resolver: ref.Resolver, Kind: ref.Kind, Params: ref.Params}
	key := request.Key()
	switch {
	case slices.Contains(from.chain, key):
		e.report(at, ref, "it leads to itself, so a run would fail: remove one of the references")
		return validator.Resolved{}
	case len(from.chain) >= maxDepth:
		e.report(at, ref, fmt.Sprintf("more than %d definitions name one another: Tekton may run it, and tekgate looks no further",
			maxDepth))
		return validator.Resolved{}
	case e.count.Add(1) > maxDefinitions:
		e.report(at, ref, fmt.Sprintf("there are more than %d remote definitions: lint fewer files at a time", maxDefinitions))
		return validator.Resolved{}
	}
	got, err := e.resolver.Resolve(ctx, request)
	if err != nil {
		e.report(at, ref, err.Error())
		return validator.Resolved{}
	}
	if got.Note != "" {
		e.remark(at, ref, ": "+got.Note)
	}
	inner := subjectOf(got.Fields)
	inner.Namespace = subject.Namespace
	inner.Inlined = strings.HasPrefix(ref.Path, "metadata.") // Pipelines-as-Code writes it out in the run
	name := fmt.Sprintf("%s %q (%s)", inner.Kind.Kind, inner.Name(), got.Source)
	down := reached{path: at.path, in: name, chain: append(slices.Clone(from.chain), key)}
	inner.Resolved = e.expand(ctx, inner, givenAt(subject.Object(), ref.Path), down)
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.definitions = append(e.definitions, definitionAt{at.path, name, inner})
	return validator.Resolved{Fields: got.Fields, Source: got.Source}
}

// silent is the reason of a reference that is none to be told of.
const silent = "-"

// unknown returns why a reference cannot be resolved here, "" if it can.
func (e *expansion) unknown(ref validator.RemoteReference) string {
	switch {
	case ref.Resolver == "cluster":
		return silent // it is in no other place
	case expression.Any(ref.Resolver):
		return "its resolver has no value here"
	case !resolve.Supports(ref.Resolver):
		return fmt.Sprintf("tekgate does not know the resolver %q", ref.Resolver)
	}
	for _, name := range slices.Sorted(maps.Keys(ref.Params)) { // in order, so that each run says the same
		value := ref.Params[name]
		if found := expression.Find(value); len(found) > 0 {
			return fmt.Sprintf("%s in its param %s has no value here", found[0].Text, name)
		}
		for _, sample := range slices.Sorted(maps.Keys(e.unknowns)) {
			if strings.Contains(value, sample) {
				return fmt.Sprintf("%s in its param %s has no value here", e.unknowns[sample], name)
			}
		}
	}
	return ""
}

func (e *expansion) report(at reached, ref validator.RemoteReference, message string) {
	if at.in != "" {
		message = fmt.Sprintf("in %s, %s: %s", at.in, ref.Path, message)
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.findings = append(e.findings, validator.Finding{Rule: findings.UnresolvedRule.ID,
		Severity: findings.UnresolvedRule.Severity, Mode: validator.Enforce, Path: at.path,
		Message: fmt.Sprintf("the %s cannot be judged: %s", ref.Kind, message)})
}

// note says why a reference was not resolved.
func (e *expansion) note(at reached, ref validator.RemoteReference, why string) {
	e.remark(at, ref, " was not resolved: "+why)
}

// remark adds a note that begins with the place of a reference.
func (e *expansion) remark(at reached, ref validator.RemoteReference, text string) {
	place := at.path
	if at.in != "" {
		place = fmt.Sprintf("%s, %s of %s", at.path, ref.Path, at.in)
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.notes = append(e.notes, place+text)
}

// sort makes the order independent of the network.
func (e *expansion) sort() {
	slices.Sort(e.notes)
	slices.SortFunc(e.findings, func(a, b validator.Finding) int {
		return strings.Compare(a.Path+a.Message, b.Path+b.Message)
	})
	slices.SortFunc(e.definitions, func(a, b definitionAt) int { return strings.Compare(a.path+a.name, b.path+b.name) })
}

// givenAt returns the params that the user of a reference gives. Those whose values are not known here have
// a value that holds an expression, so that no default takes their place.
func givenAt(fields map[string]any, path string) []map[string]any {
	var r object.Reader
	steps := document.ParsePath(path)
	var user any = fields
	for _, step := range steps[:len(steps)-1] {
		switch v := user.(type) {
		case map[string]any:
			user = v[step]
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i < len(v) {
				user = v[i]
			}
		}
	}
	holder, _ := user.(map[string]any)
	unknown := "$(context.unknown)"
	var given []map[string]any
	for _, param := range r.FieldsList(holder, "params") {
		if text, is := param["value"].(string); !is || expression.Any(text) {
			param = map[string]any{"name": param["name"], "value": unknown}
		}
		given = append(given, param)
	}
	matrix := r.Fields(holder, "matrix")
	lists := append([]map[string]any{matrix}, r.FieldsList(matrix, "include")...)
	for _, list := range lists {
		for _, param := range r.FieldsList(list, "params") {
			given = append(given, map[string]any{"name": param["name"], "value": unknown})
		}
	}
	return given
}

// maxRemote is how many findings in one definition are told.
const maxRemote = 3

// judgeRemote judges the definitions that an object's references lead to. What is wrong in them is a hint at
// the reference, since whoever refers to a definition cannot edit it.
func (j *judgement) judgeRemote(ctx context.Context, set *validator.Set, o *linted) []validator.Finding {
	if o.remote == nil {
		return nil
	}
	found := slices.Clone(o.remote.findings)
	for _, d := range o.remote.definitions {
		outcome := j.near(set, o.subject.File).Judge(ctx, d.subject)
		var texts []string
		for _, finding := range outcome.Findings {
			if finding.Severity == validator.Error {
				texts = append(texts, fmt.Sprintf("%s: %s (%s)", finding.Path, finding.Message, finding.Rule))
			}
		}
		if len(texts) == 0 {
			continue
		}
		more := ""
		if n := len(texts) - maxRemote; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		found = append(found, validator.Finding{Rule: findings.RemoteRule.ID, Severity: findings.RemoteRule.Severity,
			Mode: validator.Audit, Path: d.path,
			Message: fmt.Sprintf("in %s, which its author has to correct: %s%s", d.name,
				strings.Join(texts[:min(len(texts), maxRemote)], "; "), more)})
	}
	return found
}
