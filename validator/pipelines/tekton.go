package pipelines

import (
	"context"
	"maps"
	"slices"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
)

// tektonObject is an object that Tekton's webhook judges.
type tektonObject = admission.Object

// tektonTypes are the types of Tekton Pipelines v1.15.1, by what they are called
// (cmd/webhook/main.go).
var tektonTypes = map[schema.GroupVersionKind]func() tektonObject{
	v1.SchemeGroupVersion.WithKind("Task"):        func() tektonObject { return &v1.Task{} },
	v1.SchemeGroupVersion.WithKind("Pipeline"):    func() tektonObject { return &v1.Pipeline{} },
	v1.SchemeGroupVersion.WithKind("TaskRun"):     func() tektonObject { return &v1.TaskRun{} },
	v1.SchemeGroupVersion.WithKind("PipelineRun"): func() tektonObject { return &v1.PipelineRun{} },
	v1beta1.SchemeGroupVersion.WithKind("Task"): func() tektonObject {
		return &v1beta1.Task{} //nolint:staticcheck // deprecated, but served
	},
	v1beta1.SchemeGroupVersion.WithKind("Pipeline"): func() tektonObject {
		return &v1beta1.Pipeline{} //nolint:staticcheck // deprecated, but served
	},
	v1beta1.SchemeGroupVersion.WithKind("TaskRun"): func() tektonObject {
		return &v1beta1.TaskRun{} //nolint:staticcheck // deprecated, but served
	},
	v1beta1.SchemeGroupVersion.WithKind("PipelineRun"): func() tektonObject {
		return &v1beta1.PipelineRun{} //nolint:staticcheck // deprecated, but served
	},
	v1beta1.SchemeGroupVersion.WithKind("StepAction"):  func() tektonObject { return &v1beta1.StepAction{} },
	v1beta1.SchemeGroupVersion.WithKind("CustomRun"):   func() tektonObject { return &v1beta1.CustomRun{} },
	v1alpha1.SchemeGroupVersion.WithKind("StepAction"): func() tektonObject { return &v1alpha1.StepAction{} },
}

// tektonConfig has every feature switched on: whether one is, the cluster decides.
var tektonConfig = func() *config.Config {
	all := config.FromContextOrDefaults(context.Background())
	flags := all.FeatureFlags
	flags.EnableAPIFields = config.AlphaAPIFields
	flags.EnableParamEnum, flags.EnableArtifacts, flags.EnableCELInWhenExpression = true, true, true
	flags.EnableConciseResolverSyntax, flags.EnableStepActions = true, true
	flags.DisableInlineSpec = ""
	return all
}()

// tektonProblems returns why Tekton would refuse an object, whichever of the samples
// are put into it; nothing where one of them makes it pass. The JSON of the object may be nil.
func tektonProblems(ctx context.Context, fields map[string]any, raw []byte, empty func() tektonObject,
	samples []map[string]string) []admission.Problem {
	ctx = tektonContext(ctx)
	var common []admission.Problem
	for i, sample := range samples {
		sampled := fields
		if sample != nil {
			sampled, raw = tektonSampled(fields, "", sample).(map[string]any), nil
		}
		problems := tektonOnce(ctx, sampled, raw, empty)
		if i == 0 {
			common = problems
		}
		common = slices.DeleteFunc(common, func(problem admission.Problem) bool {
			return !slices.Contains(problems, problem)
		})
		if len(common) == 0 {
			return nil
		}
	}
	return common
}

// tektonContext is that of a create, with every feature switched on.
func tektonContext(ctx context.Context) context.Context {
	return config.ToContext(apis.WithinCreate(ctx), tektonConfig)
}

// tektonOnce decodes as strictly as Tekton's webhook does, sets defaults, and
// validates. Where Tekton panics nothing is known.
func tektonOnce(
	ctx context.Context, fields map[string]any, raw []byte, empty func() tektonObject,
) (problems []admission.Problem) {
	defer func() {
		if recover() != nil {
			problems = nil
		}
	}()
	raw, ok := admission.Raw(fields, raw)
	if !ok {
		return nil
	}
	into := empty()
	if found := admission.Decode(raw, into); found != nil {
		return found
	}
	into.SetDefaults(ctx)
	passes, spent := tektonPasses(ctx, into)
	if passes {
		return nil
	}
	if spent {
		return tektonWhole(ctx, fields, raw, empty())
	}
	return admission.Problems(into.Validate(ctx), fields, nil)
}

// tektonWhole asks Tekton about an object that it can decode.
func tektonWhole(ctx context.Context, fields map[string]any, raw []byte, into tektonObject) []admission.Problem {
	if found := admission.Decode(raw, into); found != nil {
		return found
	}
	into.SetDefaults(ctx)
	return admission.Problems(into.Validate(ctx), fields, nil)
}

// tektonSamples returns what may be put for the parameters of a TriggerTemplate: their
// defaults first, then words that some field takes. For an object of its own there is
// nothing to put.
func tektonSamples(template map[string]any) []map[string]string {
	if template == nil {
		return []map[string]string{nil}
	}
	var r object.Reader
	defaults := map[string]string{"": "sample"}
	for _, param := range itemsIn(r.Fields(template, "spec"), "spec", "params") {
		if value, is := param.Fields["default"].(string); is && value != "" {
			defaults[param.Name] = value
		}
	}
	samples := []map[string]string{defaults}
	for _, word := range []string{"sample", "1", "1h", "in", "Task", "continue", "true", "https://example.com/a"} {
		samples = append(samples, map[string]string{"": word})
	}
	return samples
}

// tektonSampled copies a value, with samples in place of $(tt.params.…) and $(uid). Durations
// and quantities, of which no sample is a part, are replaced as a whole.
func tektonSampled(value any, key string, sample map[string]string) any {
	switch v := value.(type) {
	case map[string]any:
		copied := maps.Clone(v)
		for name, inner := range copied {
			copied[name] = tektonSampled(inner, tektonFieldKind(key, name), sample)
		}
		return copied
	case []any:
		copied := slices.Clone(v)
		for i, inner := range copied {
			copied[i] = tektonSampled(inner, key, sample)
		}
		return copied
	case string:
		return tektonSampledText(v, key, sample)
	}
	return value
}

// tektonFieldKind is what sampled is told of a field: the name of the one that it is in for
// the parts of timeouts and of resources, its own name otherwise.
func tektonFieldKind(outer, name string) string {
	if slices.Contains([]string{"timeouts", "limits", "requests"}, outer) {
		return outer
	}
	return name
}

func tektonSampledText(text, key string, sample map[string]string) string {
	filled, at := "", 0
	for _, e := range expression.Find(text) {
		path, ok := e.Path()
		if !ok || len(path) == 0 || path[0] != "tt" && path[0] != "uid" {
			continue
		}
		value, known := sample[path[len(path)-1]]
		if !known {
			value = sample[""]
		}
		filled, at = filled+text[at:e.Start]+value, e.End
	}
	if at > 0 && (key == "timeout" || key == "timeouts") {
		return "1h0m0s"
	}
	if at > 0 && slices.Contains([]string{"limits", "requests", "sizeLimit"}, key) {
		return "1"
	}
	return filled + text[at:]
}
