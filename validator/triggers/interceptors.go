package triggers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// signedInterceptors are the core interceptors that verify a signature if their
// param secretRef names a secret, and pass everything if it does not
// (pkg/interceptors/{github,gitlab,bitbucket} of Tekton Triggers v0.37.0). slack has
// no such param in any release.
var signedInterceptors = []string{"bitbucket", "github", "gitlab"}

// coreName is the name of a ClusterInterceptor that every installation has, or "".
func coreName(in walk.Interceptor) string {
	if in.Kind == "ClusterInterceptor" && slices.Contains(walk.CoreInterceptors, in.Name) {
		return in.Name
	}
	return ""
}

// verdict is what an interceptor can tell about the sender of an event.
type verdict int

const (
	passesAll    verdict = iota // anybody's events
	filters                     // by what the sender writes: CEL without a secret
	authenticate                // the sender has to know a secret, or nothing is known of the interceptor
)

// authenticates says how far an interceptor keeps strangers away. Of one that
// is not known the best is assumed.
func authenticates(in walk.Interceptor) verdict {
	in = modern(in)
	switch coreName(in) {
	case "slack":
		return passesAll
	case "cel":
		for _, e := range celExpressions(in) {
			if len(comparisons(e.Value)) > 0 {
				return authenticate
			}
		}
		return filters
	case "tekgate":
		if in.Params["allowInsecure"].Value == true {
			return passesAll
		}
	case "bitbucket", "github", "gitlab":
		if !hasSecret(in) {
			return passesAll
		}
	case "":
		if in.Name == "" && in.Fields["webhook"] == nil {
			return passesAll
		}
	}
	return authenticate
}

// hasSecret tells whether param secretRef is given, in any case, which Tekton takes.
func hasSecret(in walk.Interceptor) bool {
	for name, p := range in.Params {
		if strings.EqualFold(name, "secretRef") && p.Value != nil {
			return true
		}
	}
	return false
}

// celExpressions are those of the core interceptor cel: its filter and overlays.
func celExpressions(in walk.Interceptor) []rule.Text {
	if coreName(in) != "cel" {
		return nil
	}
	var r object.Reader
	var found []rule.Text
	for name, p := range in.Params {
		switch value := p.Value.(type) {
		case string:
			if strings.EqualFold(name, "filter") {
				found = append(found, rule.Text{Path: p.Path + ".value", Value: value})
			}
		case []any:
			for i, overlay := range r.FieldsList(map[string]any{"overlays": value}, "overlays") {
				found = append(found,
					rule.Text{Path: fmt.Sprintf("%s.value[%d].expression", p.Path, i),
						Value: r.Text(overlay, "expression")})
			}
		}
	}
	return found
}

// celSyntax parses CEL. Functions need not be known for that.
var celSyntax = sync.OnceValues(func() (*cel.Env, error) { return cel.NewEnv() })

// comparisons returns the calls of compareSecret in an expression: each with the
// literals that it was given after the text to compare, "" where one is computed.
func comparisons(expression string) [][]string {
	env, err := celSyntax()
	if err != nil || !strings.Contains(expression, "compareSecret") {
		return nil
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		return nil
	}
	var found [][]string
	root := celast.NavigateAST(parsed.NativeRep())
	for _, call := range celast.MatchDescendants(root, celast.FunctionMatcher("compareSecret")) {
		var literals []string
		for _, argument := range call.AsCall().Args() {
			literal := ""
			if argument.Kind() == celast.LiteralKind {
				if s, ok := argument.AsLiteral().(types.String); ok {
					literal = string(s)
				}
			}
			literals = append(literals, literal)
		}
		found = append(found, literals)
	}
	return found
}

// chainsIn returns what has interceptors: triggers, and groups of them.
func chainsIn(p *rule.Pass) []walk.Trigger { return append(walk.TriggersIn(p), walk.GroupsIn(p)...) }

// orderedParams are the params in the order in which they stand.
func orderedParams(in walk.Interceptor) []rule.Param {
	return slices.SortedFunc(maps.Values(in.Params), func(a, b rule.Param) int {
		return strings.Compare(a.Path, b.Path)
	})
}

// listenerVariable is a variable of an EventListener's container.
type listenerVariable struct {
	Path, Name, Secret, Key string
}

// listenerEnv returns the variables of an EventListener's container, which Tekton
// takes from Secrets alone.
func listenerEnv(p *rule.Pass) []listenerVariable {
	var r object.Reader
	kubernetes := r.Fields(r.Fields(r.Fields(p.Object, "spec"), "resources"), "kubernetesResource")
	pod := r.Fields(r.Fields(r.Fields(kubernetes, "spec"), "template"), "spec")
	var found []listenerVariable
	for i, container := range r.FieldsList(pod, "containers") {
		for j, env := range r.FieldsList(container, "env") {
			ref := r.Fields(r.Fields(env, "valueFrom"), "secretKeyRef")
			path := fmt.Sprintf("spec.resources.kubernetesResource.spec.template.spec.containers[%d].env[%d]", i, j)
			found = append(found, listenerVariable{path, r.Text(env, "name"), r.Text(ref, "name"), r.Text(ref, "key")})
		}
	}
	return found
}

// exposedType is the type of Service by which an EventListener is reached from
// outside, and its path, or "".
func exposedType(p *rule.Pass) (serviceType, path string) {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	kubernetes := r.Fields(r.Fields(spec, "resources"), "kubernetesResource")
	for _, place := range []struct {
		fields map[string]any
		path   string
	}{{kubernetes, "spec.resources.kubernetesResource.serviceType"}, {spec, "spec.serviceType"}} {
		if t := r.Text(place.fields, "serviceType"); t == "LoadBalancer" || t == "NodePort" {
			return t, place.path
		}
	}
	return "", ""
}

// routeKinds are those that lead to a Service from outside.
var routeKinds = []schema.GroupKind{
	{Group: "networking.k8s.io", Kind: "Ingress"},
	{Group: "route.openshift.io", Kind: "Route"},
	{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"},
}

// exposure says how an EventListener is reached from outside: `a Service of type
// LoadBalancer`, `Ingress "ci"`, or "" where nothing is known of that. Kinds that the
// cluster does not serve lead nowhere.
func exposure(ctx context.Context, p *rule.Pass) string {
	if t, _ := exposedType(p); t != "" {
		return "a Service of type " + t
	}
	var r object.Reader
	name := r.Text(r.Fields(p.Object, "metadata"), "name")
	if p.Kind.Kind != "EventListener" || name == "" || p.Namespace == "" {
		return ""
	}
	for _, kind := range routeKinds {
		names, err := p.Cluster.Names(ctx, kind, p.Namespace)
		if err != nil && !meta.IsNoMatchError(err) {
			p.Unknown("spec", "looking for what leads to its Service, of kind "+kind.Kind, err)
		}
		for _, route := range names {
			fields, err := p.Cluster.Get(ctx, kind, p.Namespace, route)
			if err == nil && leadsTo(fields, "el-"+name) {
				return kind.Kind + " " + strconv.Quote(route)
			}
		}
	}
	return ""
}

// leadsTo tells whether a route names a Service as one of its backends.
func leadsTo(route map[string]any, service string) bool {
	var r object.Reader
	return slices.ContainsFunc(rule.TextsIn(r.Fields(route, "spec"), ""), func(t rule.Text) bool {
		return t.Value == service && (strings.HasSuffix(t.Path, "name") || strings.HasSuffix(t.Path, "serviceName"))
	})
}

// resolve returns the trigger that triggerRef names in place of its own, with the
// path of the reference, or the trigger itself. It reports false where it cannot be
// known.
func resolve(ctx context.Context, p *rule.Pass, t walk.Trigger) (walk.Trigger, bool) {
	var r object.Reader
	ref := r.Text(t.Fields, "triggerRef")
	if ref == "" {
		return t, true
	}
	found, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TriggersGroup, Kind: "Trigger"}, p.Namespace, ref)
	if err != nil || found == nil {
		return t, false // dangling-reference says so
	}
	return walk.Trigger{Path: t.Path + ".triggerRef", Fields: r.Fields(found, "spec"),
		Unit: fmt.Sprintf("Trigger %q", ref)}, true
}

// templated is one object that a trigger's template creates.
type templated struct {
	Path   string
	Fields map[string]any // nil where it is no object
}

// kind is the object's, or the zero value where it says none.
func (t templated) kind() schema.GroupVersionKind {
	var r object.Reader
	return schema.FromAPIVersionAndKind(r.Text(t.Fields, "apiVersion"), r.Text(t.Fields, "kind"))
}

// call names the object by its kind.
func (t templated) call() string {
	if kind := t.kind().Kind; kind != "" {
		return kind
	}
	return "object"
}

// templatedIn returns what a TriggerTemplate creates, or the templates that stand in
// triggers themselves.
func templatedIn(p *rule.Pass) []templated {
	var r object.Reader
	if p.Kind.Kind == "TriggerTemplate" {
		return resourceTemplates(r.Fields(p.Object, "spec"), "spec")
	}
	var found []templated
	for _, t := range walk.TriggersIn(p) {
		found = append(found,
			resourceTemplates(r.Fields(r.Fields(t.Fields, "template"), "spec"), t.Path+".template.spec")...)
	}
	return found
}

func resourceTemplates(spec map[string]any, path string) []templated {
	var r object.Reader
	var found []templated
	for i, fields := range r.FieldsList(spec, "resourcetemplates") {
		found = append(found, templated{fmt.Sprintf("%s.resourcetemplates[%d]", path, i), fields})
	}
	return found
}

// triggerJSON is a value as JSON. What comes from JSON always is.
func triggerJSON(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		return []byte("null")
	}
	return raw
}
