package tekgate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tekgate/tekgate/"

// layers lists, for a package or the folder that contains it, the packages of this
// module that it must not import, directly or indirectly. Tests may import more: they
// start clusters.
var layers = []struct {
	from   string
	never  []string
	reason string
}{
	{"internal/", []string{"cmd/", "installer", "mutator", "validator", "interceptor", "diagnosis", "manifests", "e2e/"},
		"a leaf imports nothing that is built from it"},
	{"installer", []string{"cmd/", "mutator", "validator", "interceptor", "diagnosis", "e2e/"},
		"components never import one another"},
	{"mutator", []string{"cmd/", "installer", "validator", "interceptor", "diagnosis", "manifests", "e2e/"},
		"components never import one another"},
	{"validator", []string{"cmd/", "installer", "mutator", "interceptor", "diagnosis", "manifests", "e2e/"},
		"components never import one another"},
	{"interceptor", []string{"cmd/", "installer", "mutator", "validator", "diagnosis", "manifests", "e2e/"},
		"components never import one another"},
	{"diagnosis", []string{"cmd/", "installer", "mutator", "validator", "interceptor", "manifests", "e2e/"},
		"components never import one another"},
	{"manifests", []string{"cmd/", "installer", "mutator", "validator", "interceptor", "diagnosis", "e2e/"},
		"data imports nothing"},
	{"cmd/webhook", []string{"installer", "diagnosis", "manifests", "e2e/", "cmd/interceptor", "cmd/tekgate"},
		"a server links only what it serves"},
	{"cmd/interceptor", []string{"installer", "diagnosis", "manifests", "e2e/", "cmd/webhook", "cmd/tekgate"},
		"a server links only what it serves"},
	{"cmd/internal", []string{"installer", "diagnosis", "manifests", "e2e/", "cmd/webhook", "cmd/interceptor",
		"cmd/tekgate"},
		"both servers may link it"},
	{"cmd/tekgate", []string{"e2e/", "cmd/webhook", "cmd/interceptor"}, "tests' clusters stay in tests"},
}

// families are folders whose packages are siblings: none imports another, except the
// shared ones, and these import none of the others.
var families = []struct {
	folder string
	shared []string
	reason string
}{
	{"cmd/tekgate/internal", []string{"apply", "cli", "clitest", "findings", "health", "kubeflags", "objects", "release"},
		"verbs share code through kit packages only"},
	{"validator", []string{"rule", "walk", "admission"},
		"groups of rules share code through the packages rule, walk and admission only"},
}

// TestArchitecture holds that imports follow layers and families.
func TestArchitecture(t *testing.T) {
	packages := list(t)
	for _, layer := range layers {
		if !slices.ContainsFunc(packages, func(p listed) bool { return under(p.path(), layer.from) }) {
			t.Errorf("no package is in %s: the layer checks nothing", layer.from)
		}
	}
	for _, family := range families {
		for _, name := range family.shared {
			folder := family.folder + "/" + name
			if !slices.ContainsFunc(packages, func(p listed) bool { return p.path() == folder }) {
				t.Errorf("the shared package %s does not exist", folder)
			}
		}
	}
	for _, problem := range violations(packages) {
		t.Error(problem)
	}
}

// TestArchitectureViolations holds that the check itself finds each kind of forbidden import.
func TestArchitectureViolations(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to string
		found    bool
	}{
		"a verb imports a verb":            {"cmd/tekgate/internal/lint", "cmd/tekgate/internal/audit", true},
		"a verb imports a verb's part":     {"cmd/tekgate/internal/lint", "cmd/tekgate/internal/audit/html", true},
		"a verb imports a kit package":     {"cmd/tekgate/internal/lint", "cmd/tekgate/internal/cli", false},
		"a verb imports its own part":      {"cmd/tekgate/internal/lint", "cmd/tekgate/internal/lint/sarif", false},
		"a kit package imports a verb":     {"cmd/tekgate/internal/cli", "cmd/tekgate/internal/lint", true},
		"a kit package imports another":    {"cmd/tekgate/internal/release", "cmd/tekgate/internal/cli", false},
		"the program imports a verb":       {"cmd/tekgate", "cmd/tekgate/internal/lint", false},
		"a group imports a group":          {"validator/triggers", "validator/pipelines", true},
		"a group imports the rule package": {"validator/triggers", "validator/rule", false},
		"the rule package imports a group": {"validator/rule", "validator/triggers", true},
		"a component imports another":      {"mutator", "validator", true},
		"a leaf imports a component":       {"internal/image", "mutator", true},
		"a server imports the installer":   {"cmd/webhook", "installer", true},
		"a component imports a leaf":       {"installer", "internal/image", false},
		"a part of the servers imports it": {"cmd/internal/lookup", "installer", true},
	} {
		found := violations([]listed{{ImportPath: module + tt.from, Deps: []string{module + tt.to}}})
		if (len(found) > 0) != tt.found {
			t.Errorf("%s: found %q, want found = %v", name, found, tt.found)
		}
	}
}

// violations returns one sentence per forbidden import.
func violations(packages []listed) []string {
	var found []string
	for _, p := range packages {
		from := p.path()
		for _, dep := range p.Deps {
			to, ours := strings.CutPrefix(dep, module)
			if !ours {
				continue
			}
			for _, reason := range slices.Concat(crossesLayer(from, to), crossesFamily(from, to)) {
				found = append(found, fmt.Sprintf("%s imports %s, directly or indirectly, but %s", from, to, reason))
			}
		}
	}
	return found
}

func crossesLayer(from, to string) (reasons []string) {
	for _, layer := range layers {
		if under(from, layer.from) && slices.ContainsFunc(layer.never,
			func(never string) bool { return under(to, never) }) {
			reasons = append(reasons, layer.reason)
		}
	}
	return reasons
}

func crossesFamily(from, to string) (reasons []string) {
	for _, family := range families {
		importer, imported := member(family.folder, from), member(family.folder, to)
		if importer == "" || imported == "" || importer == imported || slices.Contains(family.shared, imported) {
			continue
		}
		reasons = append(reasons, family.reason)
	}
	return reasons
}

// member returns the name of the sibling in a folder that a package belongs to, or "".
func member(folder, pkg string) string {
	inside, ok := strings.CutPrefix(pkg, folder+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(inside, "/")
	return name
}

func under(pkg, folder string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

// described matches a row of the tables in docs/architecture.md: a package and a sentence.
var described = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$")

// TestArchitecturePage holds that docs/architecture.md describes exactly the packages
// that exist, each in one sentence.
func TestArchitecturePage(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	on := map[string]bool{}
	for _, row := range described.FindAllStringSubmatch(string(page), -1) {
		name, sentence := row[1], row[2]
		if on[name] {
			t.Errorf("docs/architecture.md describes %s twice", name)
		}
		on[name] = true
		if !strings.HasSuffix(sentence, ".") || strings.Count(sentence, ". ") > 0 {
			t.Errorf("docs/architecture.md describes %s in something other than one sentence: %s", name, sentence)
		}
	}
	for _, p := range list(t) {
		name := p.path()
		if name == "" {
			continue // this package
		}
		if !on[name] {
			t.Errorf("docs/architecture.md does not describe %s", name)
		}
		delete(on, name)
	}
	for name := range on {
		t.Errorf("docs/architecture.md describes %s, which does not exist", name)
	}
}

type listed struct {
	ImportPath string
	Deps       []string
}

func (p listed) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, strings.TrimSuffix(module, "/")), "/")
}

// builds are the ways in which the packages are built: the program, its tests on nodes, and
// the program for other systems. Each may leave out files that another has.
var builds = []struct{ system, tags string }{{"linux", ""}, {"linux", "e2e"}, {"darwin", ""}, {"windows", ""}}

// list returns every package with what it imports in any build.
func list(t *testing.T) []listed {
	t.Helper()
	deps := map[string][]string{}
	for _, build := range builds {
		for _, p := range listBuild(t, build.system, build.tags) {
			deps[p.ImportPath] = append(deps[p.ImportPath], p.Deps...)
		}
	}
	var packages []listed
	for _, path := range slices.Sorted(maps.Keys(deps)) {
		slices.Sort(deps[path])
		packages = append(packages, listed{path, slices.Compact(deps[path])})
	}
	return packages
}

func listBuild(t *testing.T, system, tags string) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-json=ImportPath,Deps", "./...")
	command.Env = append(command.Environ(), "GOOS="+system)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, &problems)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
