package admission

import (
	"context"
	"strings"

	"github.com/tektoncd/triggers/pkg/apis/triggers/contexts"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// triggersTypes are the types of Tekton Triggers v0.37.0, by what they are called (cmd/webhook/main.go).
var triggersTypes = map[schema.GroupVersionKind]func() Object{
	alpha("ClusterTriggerBinding"): func() Object { return &v1alpha1.ClusterTriggerBinding{} },
	alpha("ClusterInterceptor"):    func() Object { return &v1alpha1.ClusterInterceptor{} },
	alpha("Interceptor"):           func() Object { return &v1alpha1.Interceptor{} },
	alpha("EventListener"):         func() Object { return &v1alpha1.EventListener{} },
	alpha("TriggerBinding"):        func() Object { return &v1alpha1.TriggerBinding{} },
	alpha("TriggerTemplate"):       func() Object { return &v1alpha1.TriggerTemplate{} },
	alpha("Trigger"):               func() Object { return &v1alpha1.Trigger{} },
	beta("ClusterTriggerBinding"):  func() Object { return &v1beta1.ClusterTriggerBinding{} },
	beta("EventListener"):          func() Object { return &v1beta1.EventListener{} },
	beta("TriggerBinding"):         func() Object { return &v1beta1.TriggerBinding{} },
	beta("TriggerTemplate"):        func() Object { return &v1beta1.TriggerTemplate{} },
	beta("Trigger"):                func() Object { return &v1beta1.Trigger{} },
}

func alpha(kind string) schema.GroupVersionKind { return v1alpha1.SchemeGroupVersion.WithKind(kind) }

func beta(kind string) schema.GroupVersionKind { return v1beta1.SchemeGroupVersion.WithKind(kind) }

// TriggersProblems returns why the webhook of Tekton Triggers v0.37.0 would refuse to create an object:
// it decodes strictly, sets defaults and validates. It returns nothing for kinds that the webhook does not
// know, and where the webhook would panic. The fields are not changed; raw is their JSON, or nil.
func TriggersProblems(
	ctx context.Context, kind schema.GroupVersionKind, fields map[string]any, raw []byte,
) (found []Problem) {
	empty, known := triggersTypes[kind]
	if !known {
		return nil
	}
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	raw, ok := Raw(fields, raw)
	if !ok {
		return nil
	}
	into := empty()
	if problems := Decode(raw, into); problems != nil {
		return problems
	}
	ctx = contexts.WithUpgradeViaDefaulting(apis.WithinCreate(ctx))
	into.SetDefaults(ctx)
	return Problems(into.Validate(ctx), fields, func(message, path string) string {
		return triggersPath(kind.Kind, message, path)
	})
}

// wrongPaths are paths of Triggers' messages that are not those of the fields.
var wrongPaths = []struct {
	message *lazyregexp.Regexp
	field   string
}{
	{lazyregexp.New(`(interceptors\[\d+\])\.interceptor\b`), "$1"},
	{lazyregexp.New(`^(spec\.resources\.kubernetesResource)\.spec\.replicas$`), "$1.replicas"},
	{lazyregexp.New(`^(spec\.triggers\[\d+\])\.resourcetemplates`), "$1.template.spec.resourcetemplates"},
	{lazyregexp.New(`^\[\d+\]\.(name|value)`), "spec.params$0"},
}

// containerEnv is where an EventListener names the certificate of its Pods.
const containerEnv = "spec.resources.kubernetesResource.spec.template.spec.containers[0].env"

func triggersPath(kind, message, path string) string {
	if kind == "Trigger" && strings.HasPrefix(path, "spec.resourcetemplates") {
		return "spec.template." + path
	}
	if strings.HasPrefix(message, "Expected env's are TLS_CERT and TLS_KEY") {
		return containerEnv // the message names no field
	}
	for _, wrong := range wrongPaths {
		path = wrong.message.ReplaceAllString(path, wrong.field)
	}
	return path
}
