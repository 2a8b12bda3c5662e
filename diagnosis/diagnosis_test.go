package diagnosis_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
)

// now is when the cases are looked at.
var now = time.Date(2026, 11, 30, 11, 0, 0, 0, time.UTC)

// readCase reads a case: objects of a cluster, the first of which is the run, and documents of
// kinds Log, Login, Absent, Answer and Tekgate for what is not an object.
func readCase(t testing.TB, file string) (*diagnosis.State, diagnosis.Key) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	state := &diagnosis.State{Now: now, Logins: map[diagnosis.Key]clients.Source{}}
	var run diagnosis.Key
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		asJSON, err := yaml.YAMLToJSON(document)
		if err != nil {
			t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(asJSON); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if obj.GetAPIVersion() != "" {
			state.Add(obj)
			if run == (diagnosis.Key{}) {
				run = diagnosis.KeyOf(obj)
			}
			continue
		}
		addOther(t, state, obj.Object)
	}
	return state, run
}

func addOther(t testing.TB, state *diagnosis.State, doc map[string]any) {
	t.Helper()
	word := func(name string) string { s, _ := doc[name].(string); return s }
	words := func(name string) []string {
		var all []string
		list, _ := doc[name].([]any)
		for _, item := range list {
			all = append(all, item.(string))
		}
		return all
	}
	switch word("kind") {
	case "Log":
		state.Logs = append(state.Logs, diagnosis.Log{Namespace: word("namespace"), Pod: word("pod"),
			Container: word("container"), Text: word("text")})
	case "Login":
		var config clients.Config
		for _, key := range words("keys") {
			config = append(config, clients.Entry{Key: key, Auth: "dXNlcjpwYXNzd29yZA=="})
		}
		state.Logins[diagnosis.Key{Kind: "Secret", Namespace: word("namespace"), Name: word("name")}] =
			clients.Source{Config: config}
	case "Absent":
		state.Absent = append(state.Absent, diagnosis.Key{Kind: word("of"), Namespace: word("namespace"),
			Name: word("name")})
	case "Answer":
		state.Images = append(state.Images, diagnosis.Image{Reference: word("reference"), Status: word("status"),
			Platforms: words("platforms"), Wanted: words("wanted"), Digest: word("digest")})
	case "Tekgate":
		state.Tekgate = readTekgate(t, doc)
	default:
		t.Fatalf("a document of unknown kind %q", word("kind"))
	}
}

func readTekgate(t testing.TB, doc map[string]any) *diagnosis.Tekgate {
	t.Helper()
	host, _ := doc["mirror"].(string)
	rules, err := image.Mirror{Registry: host, Layout: "keep-path"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	known := &diagnosis.Tekgate{Mirror: rules}
	known.Installed, _ = doc["installed"].(bool)
	known.Rewrites, _ = doc["rewrites"].(bool)
	if since, ok := doc["since"].(string); ok {
		if known.Since, err = time.Parse(time.RFC3339, since); err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// kindOf returns the kind of cause that a case is named for: the longest id that its name
// begins with.
func kindOf(name string) string {
	found := ""
	for _, kind := range diagnosis.Kinds {
		if (name == kind.ID || strings.HasPrefix(name, kind.ID+"-")) && len(kind.ID) > len(found) {
			found = kind.ID
		}
	}
	return found
}

// TestCauses holds that the first cause of each case is the one that its file is named for,
// and compares all causes, with their remedies, with testdata/causes.txt.
func TestCauses(t *testing.T) {
	var text strings.Builder
	seen := map[string]bool{}
	for _, file := range files(t, "causes") {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		state, run := readCase(t, file)
		causes := diagnosis.Explain(state, run)
		want := kindOf(name)
		seen[want] = true
		if want == "" || len(causes) == 0 || causes[0].ID != want {
			t.Errorf("%s: causes %v, want %q first", name, causes, want)
		}
		fmt.Fprintf(&text, "# %s\n", name)
		for _, c := range causes {
			fmt.Fprintf(&text, "%s\n    %s\n", c, c.Remedy)
		}
		again := diagnosis.Explain(state, run)
		if !slices.Equal(causes, again) {
			t.Errorf("%s: explained twice, the causes differ: %v and %v", name, causes, again)
		}
	}
	for _, kind := range diagnosis.Kinds {
		if !seen[kind.ID] {
			t.Errorf("no case in testdata/causes is named for %s", kind.ID)
		}
	}
	golden.Equal(t, filepath.Join("testdata", "causes.txt"), []byte(text.String()))
}

// TestHealthy holds that runs which succeeded, go on or were just created have no cause.
func TestHealthy(t *testing.T) {
	for _, file := range files(t, "healthy") {
		state, run := readCase(t, file)
		if causes := diagnosis.Explain(state, run); len(causes) > 0 {
			t.Errorf("%s: %v, want no cause", filepath.Base(file), causes)
		}
	}
}

func files(t testing.TB, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(all) < 10 {
		t.Fatalf("%d cases in testdata/%s: %v", len(all), folder, err)
	}
	return all
}

var id = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// TestKinds holds that each kind of cause says what it is and what to do.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range diagnosis.Kinds {
		if !id.MatchString(kind.ID) || seen[kind.ID] {
			t.Errorf("kind %q: its id is taken, or is no anchor", kind.ID)
		}
		seen[kind.ID] = true
		if kind.Title == "" || kind.Remedy == "" || strings.HasSuffix(kind.Title, ".") {
			t.Errorf("kind %s needs a title and a remedy, which are clauses", kind.ID)
		}
	}
}

// TestNothingKnown holds that a run which is not in the state has no cause.
func TestNothingKnown(t *testing.T) {
	causes := diagnosis.Explain(&diagnosis.State{Now: now}, diagnosis.Key{Kind: "TaskRun", Name: "x"})
	if causes != nil {
		t.Errorf("causes %v of a run that was not read", causes)
	}
}

// TestLongLine holds that both ends of a line of megabytes are searched.
func TestLongLine(t *testing.T) {
	for _, line := range []string{"no space left on device: %s", "%s: no space left on device"} {
		state, run := readCase(t, filepath.Join("testdata", "causes", "exit-code.yaml"))
		state.Logs[0].Text = fmt.Sprintf(line, strings.Repeat("push ", 1<<20))
		causes := diagnosis.Explain(state, run)
		if len(causes) != 1 || causes[0].ID != "disk-full" || len(causes[0].String()) > 2000 {
			t.Errorf("causes %.200v, want disk-full in a short sentence", causes)
		}
	}
}
