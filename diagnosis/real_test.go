package diagnosis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/credentials"
	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
)

// dumped is when the objects of testdata/real were read.
var dumped = time.Date(2026, 11, 30, 18, 50, 0, 0, time.UTC)

// readReal reads what a node really had when a run hung or failed: objects.json is a List of
// objects, and POD.CONTAINER.log is the end of a log. Passwords are not real ones.
func readReal(t *testing.T, folder string) (*diagnosis.State, diagnosis.Key) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "objects.json"))
	if err != nil {
		t.Fatal(err)
	}
	objects := &unstructured.UnstructuredList{}
	if err := objects.UnmarshalJSON(text); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	state := &diagnosis.State{Now: dumped, Tekgate: realTekgate(t), Images: realImages,
		Logins: map[diagnosis.Key]clients.Source{}}
	for i := range objects.Items {
		obj := &objects.Items[i]
		state.Add(obj)
		kind, _, _ := unstructured.NestedString(obj.Object, "type")
		if obj.GetKind() != "Secret" || kind == "kubernetes.io/basic-auth" {
			continue // without its values
		}
		if source, err := credentials.Source(obj); err == nil {
			state.Logins[diagnosis.KeyOf(obj)] = source
		}
	}
	run := diagnosis.KeyOf(&objects.Items[0])
	logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pod, container, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".log"), ".")
		state.Logs = append(state.Logs, diagnosis.Log{Namespace: run.Namespace, Pod: pod, Container: container,
			Text: string(text)})
	}
	return state, run
}

// realImages are the answers of that node's registries.
var realImages = []diagnosis.Image{
	{Reference: "mirror.example.com/tekton/alpine-arm:3.12", Status: "missing platform",
		Platforms: []string{"linux/arm64"}, Wanted: []string{"linux/amd64"}},
	{Reference: "mirror.example.com/tekton/alpine:3.12", Status: "ok"},
	{Reference: "mirror.example.com/tekton/tool:1.0", Status: "missing"},
}

// realTekgate is the configuration of that node.
func realTekgate(t *testing.T) *diagnosis.Tekgate {
	t.Helper()
	rules, err := image.Shorthand("mirror.example.com/tekton").Compile()
	if err != nil {
		t.Fatal(err)
	}
	return &diagnosis.Tekgate{Installed: true, Rewrites: true, Mirror: rules,
		Since: time.Date(2026, 11, 30, 18, 20, 40, 0, time.UTC)}
}

// TestReal holds that the first line about each real run is the expected one, and that runs which
// succeeded have no cause. All lines are in testdata/real.txt.
func TestReal(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "real.want"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		name, pattern, _ := strings.Cut(line, " ")
		state, run := readReal(t, filepath.Join("testdata", "real", name))
		causes := diagnosis.Explain(state, run)
		fmt.Fprintf(&all, "# %s\n", name)
		for _, c := range causes {
			fmt.Fprintf(&all, "%s\n    %s\n", c, c.Remedy)
		}
		switch {
		case pattern == "" && len(causes) > 0:
			t.Errorf("%s: %v, want no cause", name, causes)
		case pattern != "" && len(causes) == 0:
			t.Errorf("%s: no cause, want %s", name, pattern)
		case pattern != "" && !regexp.MustCompile("^(?:"+pattern+")").MatchString(causes[0].String()):
			t.Errorf("%s: %s, want %s", name, causes[0], pattern)
		}
	}
	golden.Equal(t, filepath.Join("testdata", "real.txt"), []byte(all.String()))
}
