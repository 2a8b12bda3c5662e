package validator

import (
	"context"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
)

var interceptorKindRule = &Rule{
	ID:       "interceptor-kind",
	Severity: Error,
	Kinds:    withTriggers,
	Doc: `Finds references to interceptors whose kind is neither ClusterInterceptor nor
NamespacedInterceptor.

The kind of the object is Interceptor, that of the reference NamespacedInterceptor;
Tekton accepts any word, and fails at each event after its 202 (ResolveToURL and
ExecuteInterceptors in pkg/sink/sink.go of Tekton Triggers v0.37.0).`,
	Check: checkInterceptorKind,
}

func checkInterceptorKind(_ context.Context, p *Pass) {
	var r object.Reader
	for _, in := range interceptorsIn(chainsIn(p)...) {
		kind := r.Text(r.Fields(in.Fields, "ref"), "kind")
		if _, known := interceptorKinds[kind]; known {
			continue
		}
		path := in.Path + ".ref.kind"
		if kind == "Interceptor" {
			finding := p.Report(path, "a reference to an Interceptor has the kind NamespacedInterceptor, and Tekton finds nothing under %q: write NamespacedInterceptor", kind)
			p.Mend(finding, Edit{Op: "replace", Path: path, Value: "NamespacedInterceptor"})
			continue
		}
		remedy := "write ClusterInterceptor or NamespacedInterceptor"
		known := slices.DeleteFunc(slices.Sorted(maps.Keys(interceptorKinds)), func(k string) bool { return k == "" })
		if best := suggest.Closest(kind, known); best != "" {
			remedy = "did you mean " + best + "?"
		}
		p.Report(path, "there is no kind %q of interceptors, so every event fails for %s: %s", kind, in.Unit, remedy)
	}
}
