package tekgate_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tekgate/tekgate/"

// layers says, for a package or the folder that it lies in, which packages of
// this module it must not reach, directly or through others. Tests may reach
// further: they start clusters.
var layers = []struct {
	from   string
	never  []string
	reason string
}{
	{"internal/", []string{"cmd/", "installer", "mutator", "validator", "interceptor", "manifests", "e2e/"}, "leaves know nothing of what is built from them"},
	{"installer", []string{"cmd/", "mutator", "validator", "interceptor", "e2e/"}, "components do not know one another"},
	{"mutator", []string{"cmd/", "installer", "validator", "interceptor", "manifests", "e2e/"}, "components do not know one another"},
	{"validator", []string{"cmd/", "installer", "mutator", "interceptor", "manifests", "e2e/"}, "components do not know one another"},
	{"interceptor", []string{"cmd/", "installer", "mutator", "validator", "manifests", "e2e/"}, "components do not know one another"},
	{"manifests", []string{"cmd/", "installer", "mutator", "validator", "interceptor", "e2e/"}, "data reaches for nothing"},
	{"cmd/webhook", []string{"installer", "manifests", "e2e/", "cmd/interceptor", "cmd/tekgate"}, "a server carries nothing that it does not serve"},
	{"cmd/interceptor", []string{"installer", "manifests", "e2e/", "cmd/webhook", "cmd/tekgate"}, "a server carries nothing that it does not serve"},
	{"cmd/tekgate", []string{"e2e/"}, "test machinery stays in tests"},
}

func TestArchitecture(t *testing.T) {
	packages := list(t)
	for _, layer := range layers {
		checked := 0
		for _, p := range packages {
			from, ours := strings.CutPrefix(p.ImportPath, module)
			if !ours || !under(from, layer.from) {
				continue
			}
			checked++
			for _, dep := range p.Deps {
				to, ours := strings.CutPrefix(dep, module)
				if ours && slices.ContainsFunc(layer.never, func(never string) bool { return under(to, never) }) {
					t.Errorf("%s reaches %s, but %s", from, to, layer.reason)
				}
			}
		}
		if checked == 0 {
			t.Errorf("no package lies under %s: the rule checks nothing", layer.from)
		}
	}
}

func under(pkg, folder string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

type listed struct {
	ImportPath string
	Deps       []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
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
