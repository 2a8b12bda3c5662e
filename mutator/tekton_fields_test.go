package mutator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
)

// release is a cluster with nothing but a release of Tekton.
type release struct {
	nowhere
	version string
}

func (r release) Tekton(context.Context) Tekton { return Tekton{Version: r.version} }

// TestTooNewFields tests each field of newFields below and at the release that it came with.
func TestTooNewFields(t *testing.T) {
	tested := map[string]bool{}
	for _, at := range pathsOf("", reflect.TypeFor[PodTemplate]()) {
		entry := entryOf(at)
		if entry == nil {
			continue
		}
		tested[entry.path] = true
		var config PodTemplate
		setPath(reflect.ValueOf(&config).Elem(), strings.Split(at, "/"))
		top, _, _ := strings.Cut(at, "/")
		tooNew(t, at, "podTemplate."+strings.ReplaceAll(at, "/", "."), entry, Config{PodTemplate: config},
			func(spec map[string]any) bool {
				pod, _ := spec["podTemplate"].(map[string]any)
				return pod[top] != nil
			})
	}
	for _, at := range pathsOf("", reflect.TypeFor[corev1.EnvVar]()) {
		entry := entryOf(at)
		if entry == nil {
			continue
		}
		tested[entry.path] = true
		variable := corev1.EnvVar{Name: "X"}
		setPath(reflect.ValueOf(&variable).Elem(), strings.Split(at, "/"))
		tooNew(t, at, strings.ReplaceAll(at, "/", "."), entry,
			Config{Env: Env{Set: []EnvSet{{Variables: []corev1.EnvVar{variable}}}}},
			func(spec map[string]any) bool {
				steps := spec["taskSpec"].(map[string]any)["steps"].([]any)
				return steps[0].(map[string]any)["env"] != nil && steps[1].(map[string]any)["env"] != nil
			})
	}
	for _, field := range newFields {
		if !tested[field.path] && field.path != podEnv.path { // for that, see testdata/docker-config
			t.Errorf("no field of the configuration has the path %s: remove it from newFields", field.path)
		}
	}
}

func tooNew(t *testing.T, at, name string, entry *newField, config Config, has func(spec map[string]any) bool) {
	t.Helper()
	config.DockerConfig.Disabled, config.Kaniko.Disabled = true, true
	for installed, want := range map[string]bool{
		"": true, "devel": true, "v" + entry.since.String(): true, "v1.15.0": true, before(entry.since): false,
	} {
		t.Run(at+" "+installed, func(t *testing.T) {
			m, err := New(config, nil, release{version: installed})
			if err != nil {
				t.Fatal(err)
			}
			out, err := m.Mutate(t.Context(), Request{
				Kind: schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"}, Explain: true,
				Raw: []byte(`{"apiVersion":"tekton.dev/v1","kind":"TaskRun","spec":{"taskSpec":{"steps":[{"image":"a"},{"image":"b"}]}}}`),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := has(out.Object["spec"].(map[string]any)); got != want {
				t.Errorf("added: %v, want %v", got, want)
			}
			if want {
				if len(out.Warnings) > 0 {
					t.Errorf("it warns: %q", out.Warnings)
				}
				return
			}
			reason := fmt.Sprintf("Tekton %s does not know %s", installed, name)
			remedy := fmt.Sprintf("which came with v%s, and would refuse the TaskRun, so the field was not added: upgrade Tekton, or remove",
				entry.since)
			if len(out.Warnings) != 1 || !strings.HasPrefix(out.Warnings[0], reason) ||
				!strings.Contains(out.Warnings[0], remedy) || len(out.Patch) > 0 {
				t.Errorf("it warns %q, with the patch %s", out.Warnings, out.Patch)
			}
			if !slices.ContainsFunc(out.Decisions, func(d Decision) bool { return strings.Contains(d.Why, reason) }) {
				t.Errorf("it explains %v", out.Decisions)
			}
		})
	}
}

// before returns a release that is older than another.
func before(release *version.Version) string {
	if release.Minor() == 0 {
		return fmt.Sprintf("v%d.999.0", release.Major()-1)
	}
	return fmt.Sprintf("v%d.%d.9", release.Major(), release.Minor()-1)
}

// TestFieldsAreJudged fails for a field of the configuration of which nobody has found out
// since when Tekton knows it.
func TestFieldsAreJudged(t *testing.T) {
	old := readPaths(t, "testdata/tekton-v0.27.0.txt")
	newest := pathsOf("", reflect.TypeFor[pod.Template]())
	for _, at := range pathsOf("", reflect.TypeFor[PodTemplate]()) {
		judged(t, old, at, at)
		if !slices.Contains(newest, at) {
			t.Errorf("Tekton v1.15.1 knows no podTemplate field %s", at)
		}
	}
	for _, at := range pathsOf("", reflect.TypeFor[corev1.EnvVar]()) {
		judged(t, old, at, "variables/"+at)
	}
}

func judged(t *testing.T, old []string, at, listed string) {
	t.Helper()
	known, newer := slices.Contains(old, listed), false
	for parent := at; parent != "."; parent = path.Dir(parent) {
		newer = newer || entryOf(parent) != nil
	}
	switch {
	case known && newer:
		t.Errorf("Tekton v0.27.0 knows %s: remove it from newFields", at)
	case !known && !newer:
		t.Errorf("Tekton v0.27.0 does not know %s: add it to newFields, with the first release that does", at)
	}
}

// TestNewFieldsDocumented tests that docs/mutation.md has every field with its release.
func TestNewFieldsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/mutation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range newFields {
		end := fmt.Sprintf("| v%d.%d |", field.since.Major(), field.since.Minor())
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "|") && strings.HasSuffix(line, end) &&
				strings.Contains(line, path.Base(field.path)+"`")
		}) {
			t.Errorf("docs/mutation.md has no row for %s with %s", field.path, end)
		}
	}
}

func entryOf(at string) *newField {
	for i := range newFields {
		if matched, _ := path.Match(newFields[i].path, at); matched {
			return &newFields[i]
		}
	}
	return nil
}

func readPaths(t *testing.T, name string) []string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var paths []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "#") {
			paths = append(paths, lines.Text())
		}
	}
	return paths
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// pathsOf returns the paths of all fields that JSON of a type can have.
func pathsOf(at string, of reflect.Type) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || reflect.PointerTo(of).Implements(unmarshaler) {
		return nil
	}
	var paths []string
	for field := range of.Fields() {
		if name := nameOf(field); name != "" {
			paths = append(append(paths, path.Join(at, name)), pathsOf(path.Join(at, name), field.Type)...)
			continue
		}
		if field.Anonymous && field.Type != reflect.TypeFor[Scope]() {
			paths = append(paths, pathsOf(at, field.Type)...)
		}
	}
	return paths
}

func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// setPath sets a field of a value to something that is not zero.
func setPath(value reflect.Value, parts []string) {
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		setPath(value.Elem(), parts)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		setPath(value.Index(0), parts)
	case reflect.Map:
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(reflect.ValueOf("x"), reflect.ValueOf("x"))
	case reflect.String:
		value.SetString("x")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int32, reflect.Int64:
		value.SetInt(1)
	case reflect.Struct:
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if len(parts) > 0 && (nameOf(field) == parts[0] || nameOf(field) == "" && field.Anonymous &&
				slices.Contains(pathsOf("", field.Type), parts[0])) {
				if nameOf(field) != "" {
					parts = parts[1:]
				}
				setPath(value.Field(i), parts)
				return
			}
		}
	default:
		panic(value.Kind())
	}
}
