package triggers

import (
	"context"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorKindRule = &rule.Rule{
	ID:       "interceptor-kind",
	Severity: rule.Error,
	Kinds:    rule.WithTriggers,
	Doc: `Finds references to interceptors whose kind is neither ClusterInterceptor nor
NamespacedInterceptor.

The kind of the object is Interceptor, that of the reference NamespacedInterceptor;
Tekton accepts any word, and fails at each event after its 202 (ResolveToURL and
ExecuteInterceptors in pkg/sink/sink.go of Tekton Triggers v0.37.0).`,
	Check: checkInterceptorKind,
}

func checkInterceptorKind(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, in := range walk.Interceptors(p) {
		kind := r.Text(r.Fields(in.Fields, "ref"), "kind")
		if _, known := walk.InterceptorKinds[kind]; known {
			continue
		}
		path := in.Path + ".ref.kind"
		if kind == "Interceptor" {
			finding := p.Report(path,
				"a reference to an Interceptor has the kind NamespacedInterceptor, and Tekton finds nothing under %q: write NamespacedInterceptor",
				kind)
			p.Mend(finding, rule.Edit{Op: "replace", Path: path, Value: "NamespacedInterceptor"})
			continue
		}
		remedy := "write ClusterInterceptor or NamespacedInterceptor"
		known := slices.DeleteFunc(slices.Sorted(maps.Keys(walk.InterceptorKinds)), func(k string) bool {
			return k == ""
		})
		if best := suggest.Closest(kind, known); best != "" {
			remedy = "did you mean " + best + "?"
		}
		p.Report(path, "there is no kind %q of interceptors, so every event fails for %s: %s", kind, in.Unit, remedy)
	}
}
