package migrate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/triggers/pkg/apis/triggers/contexts"
	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	kjson "sigs.k8s.io/json"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/migrate"
	"github.com/tekgate/tekgate/validator"
)

// TestCases compares what becomes of each case's input with what was committed, and holds
// that all that is converted is accepted by Tekton and by the validator.
func TestCases(t *testing.T) {
	folders, err := filepath.Glob("testdata/*/input.yaml")
	if err != nil || len(folders) < 15 {
		t.Fatalf("finding the cases: %d, %v", len(folders), err)
	}
	for _, input := range folders {
		folder := filepath.Dir(input)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			out, notes := migrate.Files([]migrate.File{{Name: "input.yaml", Text: text}}, migrate.Defaults())
			golden.Equal(t, filepath.Join(folder, "want.yaml"), out[0].Text)
			golden.Equal(t, filepath.Join(folder, "report.txt"), []byte(report(notes)))
			again(t, out, notes)
			accepted(t, out[0].Text, notes)
		})
	}
}

func report(notes []migrate.Note) string {
	var lines strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&lines, "%d: %s %s %s: %s\n", n.Line, n.Level, n.Kind, n.Name, n.Message)
	}
	return lines.String()
}

// again holds that migrating again changes nothing, and asks for no decision that was not
// asked for before.
func again(t *testing.T, out []migrate.File, notes []migrate.Note) {
	t.Helper()
	twice, more := migrate.Files(out, migrate.Defaults())
	for i, f := range twice {
		if string(f.Text) != string(out[i].Text) {
			t.Errorf("migrating again changes %s:\n%s", f.Name, f.Text)
		}
	}
	for _, n := range more {
		if n.Level == migrate.Converted {
			t.Errorf("migrating again converts %s %s", n.Kind, n.Name)
		}
		known := slices.ContainsFunc(notes,
			func(m migrate.Note) bool { return m.Message == n.Message && m.Kind == n.Kind })
		if !known && n.Level != migrate.Info {
			t.Errorf("migrating again asks for %q", n.Message)
		}
	}
}

// tekton is an object that Tekton can complete and validate.
type tekton interface {
	apis.Defaultable
	apis.Validatable
}

// typed returns an empty object of a version and kind, nil for one that Tekton does not serve.
func typed(version, kind string) tekton {
	switch version + " " + kind {
	case "tekton.dev/v1 Task":
		return &pipelinev1.Task{}
	case "tekton.dev/v1 Pipeline":
		return &pipelinev1.Pipeline{}
	case "tekton.dev/v1 TaskRun":
		return &pipelinev1.TaskRun{}
	case "tekton.dev/v1 PipelineRun":
		return &pipelinev1.PipelineRun{}
	case "tekton.dev/v1beta1 CustomRun":
		return &pipelinev1beta1.CustomRun{}
	case "tekton.dev/v1beta1 StepAction":
		return &pipelinev1beta1.StepAction{}
	case "triggers.tekton.dev/v1beta1 EventListener":
		return &triggersv1beta1.EventListener{}
	case "triggers.tekton.dev/v1beta1 Trigger":
		return &triggersv1beta1.Trigger{}
	case "triggers.tekton.dev/v1beta1 TriggerBinding":
		return &triggersv1beta1.TriggerBinding{}
	case "triggers.tekton.dev/v1beta1 ClusterTriggerBinding":
		return &triggersv1beta1.ClusterTriggerBinding{}
	case "triggers.tekton.dev/v1beta1 TriggerTemplate":
		return &triggersv1beta1.TriggerTemplate{}
	case "triggers.tekton.dev/v1alpha1 ClusterInterceptor":
		return &triggersv1alpha1.ClusterInterceptor{}
	}
	return nil
}

// unconverted are the names of the objects of which the report says that they stay.
func unconverted(notes []migrate.Note) []string {
	var names []string
	for _, n := range notes {
		if n.Level == migrate.Blocked {
			names = append(names, n.Kind+"/"+n.Name)
		}
	}
	return names
}

// accepted holds that Tekton and the validator have nothing against the objects of a text,
// but those that the report names.
func accepted(t *testing.T, text []byte, notes []migrate.Note) {
	t.Helper()
	stay := unconverted(notes)
	documents, _ := document.Parse("want.yaml", text)
	var subjects []validator.Subject
	for _, d := range documents {
		objects, err := d.Objects()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			version, _ := o.Fields["apiVersion"].(string)
			kind, _ := o.Fields["kind"].(string)
			meta, _ := o.Fields["metadata"].(map[string]any)
			called, _ := meta["name"].(string)
			if !strings.Contains(version, "tekton.dev/") || kind == "VerificationPolicy" ||
				slices.Contains(stay, kind+"/"+called) || kind == "PipelineResource" {
				continue
			}
			space, _ := meta["namespace"].(string)
			subjects = append(subjects, validator.Subject{Kind: schema.FromAPIVersionAndKind(version, kind),
				Namespace: space, Fields: o.Fields})
			valid(t, o, version, kind)
		}
	}
	set := validator.NewSet(subjects)
	set.Elsewhere = map[string][]string{"Task": {"*"}, "Pipeline": {"*"}, "TriggerBinding": {"*"}, "TriggerTemplate": {"*"}}
	for _, s := range subjects {
		v := &validator.Validator{Config: validator.Default(), Cluster: set, Offline: true}
		for _, f := range v.Judge(t.Context(), s).Findings {
			if f.Severity == validator.Error {
				t.Errorf("%s %s: lint finds: %s: %s (%s)", s.Kind.Kind, s.Name(), f.Path, f.Message, f.Rule)
			}
		}
	}
}

// valid holds that Tekton accepts an object.
func valid(t *testing.T, o *document.Object, version, kind string) {
	t.Helper()
	into := typed(version, kind)
	if into == nil {
		t.Errorf("%s %s is not served", version, kind)
		return
	}
	problems, err := kjson.UnmarshalStrict(o.Raw, into)
	if err != nil || len(problems) > 0 {
		t.Errorf("%s: decoding: %v %v", o.Where(), err, problems)
		return
	}
	ctx := contexts.WithUpgradeViaDefaulting(apis.WithinCreate(context.Background()))
	if named, ok := into.(interface {
		GetGenerateName() string
		SetName(string)
	}); ok && named.GetGenerateName() != "" {
		named.SetName(named.GetGenerateName() + "x")
	}
	into.SetDefaults(ctx)
	if err := into.Validate(ctx); err != nil {
		t.Errorf("%s: Tekton refuses it: %v", o.Where(), err)
	}
}
