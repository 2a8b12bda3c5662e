package validator_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// namespace is that of the request in every case.
const namespace = "ci"

// now is the clock of every case.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// There are three files beside each case's object.yaml, all optional:
//
//	others.yaml   the other objects that there are, in namespace ci if they say none
//	cluster.yaml  what else there is to know, see there
//	config.yaml   the section validator of the configuration
//
// want.txt is what the one rule whose folder it is has to say.

// there is a case's cluster: its objects, and cluster.yaml.
type there struct {
	*validator.Set
	Secrets map[string][]string `json:"secrets"` // keys, by "name" or "namespace/name"
	May     []string            `json:"may"`     // "namespace/account verb resource.group namespace"
	Images  []string            `json:"images"`  // that a registry has
	Flaws   map[string][]string `json:"flaws"`   // of those images
	Errors  map[string]string   `json:"errors"`  // of look-ups, by kind; "unknown" for validator.ErrUnknown
	Offline bool                `json:"offline"` // whether nothing else judges the object
	Plain   bool                `json:"plain"`   // whether others.yaml is not kustomize's
	Files   bool                `json:"files"`   // whether others.yaml is all that is known, as in a folder
}

func (e there) err(kind string) error {
	switch text := e.Errors[kind]; text {
	case "":
		return nil
	case "unknown":
		return validator.ErrUnknown
	default:
		return errors.New(text)
	}
}

func (e there) Names(ctx context.Context, kind schema.GroupKind, ns string) ([]string, error) {
	if err := e.err(kind.Kind); err != nil {
		return nil, err
	}
	return e.Set.Names(ctx, kind, ns)
}

func (e there) Get(ctx context.Context, kind schema.GroupKind, ns, name string) (map[string]any, error) {
	if err := e.err(kind.Kind); err != nil {
		return nil, err
	}
	found, err := e.Set.Get(ctx, kind, ns, name)
	if errors.Is(err, validator.ErrUnknown) && kind.Group == "" && !e.Files {
		err = nil // unlike a folder, a case knows all objects
	}
	return found, err
}

func (e there) Keys(_ context.Context, ns, secret string) ([]string, error) {
	if err := e.err("Secret"); err != nil {
		return nil, err
	}
	if keys, ok := e.Secrets[ns+"/"+secret]; ok || ns != namespace {
		return keys, nil
	}
	return e.Secrets[secret], nil
}

// access gives the method May, whose name the field has taken.
type access struct{ there }

func (a access) May(ctx context.Context, who validator.Account, what validator.Access) (bool, error) {
	if a.Files {
		return a.Set.May(ctx, who, what)
	}
	if err := a.err("SubjectAccessReview"); err != nil {
		return false, err
	}
	resource := strings.TrimSuffix(what.Resource+"."+what.Group, ".")
	return slices.Contains(a.there.May,
		fmt.Sprintf("%s/%s %s %s %s", who.Namespace, who.Name, what.Verb, resource, what.Namespace)), nil
}

func (e there) Exists(_ context.Context, reference string) (bool, []string, error) {
	return slices.Contains(e.Images, reference), e.Flaws[reference], e.err("image")
}

// TestCases judges each testdata/<rule>/<case>/object.yaml by its one rule.
func TestCases(t *testing.T) {
	for _, folder := range golden.Folders(t) {
		t.Run(strings.TrimPrefix(folder, "testdata/"), func(t *testing.T) {
			v := load(t, folder)
			out := v.Judge(t.Context(), subject(t, golden.JSON(t, golden.Read(t, folder+"/object.yaml"))))
			golden.Equal(t, folder+"/want.txt", []byte(judgement(out)))
		})
	}
}

// judgement is an outcome as text, "nothing" where there is nothing to say.
func judgement(out validator.Outcome) string {
	var text strings.Builder
	for _, f := range out.Findings {
		fmt.Fprintf(&text, "%s (%s): %s\n", f.Severity, f.Mode, f)
		for _, edit := range f.Fix {
			value, _ := json.Marshal(edit.Value)
			fmt.Fprintf(&text, "  fix: %s %s %s\n", edit.Op, edit.Path, value)
		}
	}
	for _, e := range out.Excepted {
		fmt.Fprintf(&text, "excepted until %s (%s): %s\n", e.Exception.Until.Format(time.DateOnly), e.Exception.Reason,
			e.Finding)
	}
	for _, unknown := range out.Unknown {
		fmt.Fprintf(&text, "unknown: %s\n", unknown)
	}
	return cmp.Or(text.String(), "nothing\n")
}

// TestEveryRuleHasCases also says which folders belong to no rule, and wants
// a good and a bad case for each.
func TestEveryRuleHasCases(t *testing.T) {
	good, bad := map[string]int{}, map[string]int{}
	for _, folder := range golden.Folders(t) {
		rule := filepath.Base(filepath.Dir(folder))
		good[rule], bad[rule] = good[rule]+0, bad[rule]+0
		if strings.Contains(string(golden.Read(t, folder+"/want.txt")), "(rule "+rule+")") {
			bad[rule]++
		} else {
			good[rule]++
		}
	}
	for _, rule := range validator.Rules {
		if good[rule.ID] == 0 || bad[rule.ID] == 0 {
			t.Errorf("rule %s has %d good and %d bad cases", rule.ID, good[rule.ID], bad[rule.ID])
		}
		if rule.Doc == "" || len(rule.Kinds) == 0 || rule.Check == nil || rule.Severity == "" {
			t.Errorf("rule %s lacks a doc, kinds, a severity or a function", rule.ID)
		}
		delete(good, rule.ID)
	}
	for folder := range good {
		t.Errorf("testdata/%s belongs to no rule", folder)
	}
}

// load returns the validator of a case, which asks the one rule of its folder: by
// its severity if nobody else switches it on.
func load(t testing.TB, folder string) *validator.Validator {
	t.Helper()
	id := filepath.Base(filepath.Dir(folder))
	at := slices.IndexFunc(validator.Rules, func(r *validator.Rule) bool { return r.ID == id })
	if at < 0 {
		t.Fatalf("%s: there is no rule %s", folder, id)
	}
	rule := *validator.Rules[at]
	rule.OptIn = false
	config, extra := validator.Default(), there{}
	err := errors.Join(
		strict.UnmarshalYAML(optional(t, folder+"/config.yaml"), &config),
		strict.UnmarshalYAML(optional(t, folder+"/cluster.yaml"), &extra),
		config.Validate(),
	)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	rules := []*validator.Rule{&rule}
	if id == "cannot-be-judged" { // which other rules report
		rules = slices.DeleteFunc(slices.Clone(validator.Rules), func(r *validator.Rule) bool {
			return config.Rules[r.ID].Mode == ""
		})
	}
	extra.Set = validator.NewSet(others(t, folder+"/others.yaml"))
	extra.Kustomized = !extra.Plain
	v := &validator.Validator{
		Config: config, Cluster: access{extra}, Registry: extra, Rules: rules,
		Offline: extra.Offline || extra.Files, Now: func() time.Time { return now },
	}
	if extra.Files || rule.Files {
		v.Files = extra.Set
	}
	return v
}

func others(t testing.TB, path string) []validator.Subject {
	t.Helper()
	return subjects(t, path, string(golden.ReadOptional(t, path)))
}

// subjects are the objects of a YAML text; name is for errors.
func subjects(t testing.TB, name, text string) []validator.Subject {
	t.Helper()
	documents, err := document.Read(name, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var subjects []validator.Subject
	for _, d := range documents {
		subjects = append(subjects, subject(t, d.JSON))
	}
	return subjects
}

func optional(t testing.TB, path string) []byte {
	t.Helper()
	return []byte(cmp.Or(string(golden.ReadOptional(t, path)), "{}"))
}

// subject decodes an object, in namespace ci if it says none.
func subject(t testing.TB, raw []byte) validator.Subject {
	t.Helper()
	fields, err := object.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	var r object.Reader
	return validator.Subject{
		Kind:      schema.FromAPIVersionAndKind(r.Text(fields, "apiVersion"), r.Text(fields, "kind")),
		Namespace: cmp.Or(r.Text(r.Fields(fields, "metadata"), "namespace"), namespace),
		Fields:    fields,
	}
}
