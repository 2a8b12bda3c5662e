package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// tree writes files into a folder of their own, and makes it the current one.
func tree(t *testing.T, files map[string]string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
}

// TestLintSuppressions holds what .tekgatelint does, from where, and what is said of
// what it does not.
func TestLintSuppressions(t *testing.T) {
	bad := dangling("a", "nowhere")
	one := func(rest string) string { return "suppress:\n- rule: dangling-reference\n  reason: why\n" + rest }
	for _, c := range []struct {
		name, file, text string // where .tekgatelint is, and what it says
		folder           string // from where lint is run
		args             string
		say              string // part of what is printed or said; "clean" for nothing
	}{
		{"all of a rule", ".tekgatelint", one(""), ".", ".", "; 1 suppressed"},
		{"from above", ".tekgatelint", one("  path: tasks/*.yaml\n"), "tasks", "bad.yaml", "; 1 suppressed"},
		{"not from beyond the repository", "../.tekgatelint", one(""), ".", ".", "1 error"},
		{"nearer one first", "tasks/.tekgatelint", one("  path: '*.yaml'\n"), "tasks", ".", "; 1 suppressed"},
		{"glob of any depth", ".tekgatelint", one("  path: '**/bad.*'\n"), ".", ".", "; 1 suppressed"},
		{"glob of another", ".tekgatelint", one("  path: tasks/good.yaml\n"), ".", "tasks", "1 error"},
		{"object", ".tekgatelint", one("  object: EventListener/a\n"), ".", ".", "; 1 suppressed"},
		{"another object", ".tekgatelint", one("  object: EventListener/b\n"), ".", ".",
			".tekgatelint:2:3: warning: the suppression of dangling-reference matches nothing"},
		{"another object, of which not all are judged", ".tekgatelint", one("  object: EventListener/b\n"), ".",
			"tasks", "1 error, 0 warnings"},
		{"still holds", ".tekgatelint", one("  until: 2026-11-25\n"), ".", ".", "; 1 suppressed"},
		{"expired", ".tekgatelint", one("  until: 2026-11-24\n"), ".", ".", "tasks/bad.yaml:6:21: error"},
		{"expired, and said", ".tekgatelint", one("  until: 2026-11-24\n"), ".", ".",
			".tekgatelint:4:10: warning: the suppression of dangling-reference has not held since 2026-11-24"},
		{"elsewhere", ".tekgatelint", "elsewhere: {TriggerTemplate: [now*]}\n", ".", ".",
			"0 errors, 0 warnings, 0 hints\n"},
		{"excluded", ".tekgatelint", "exclude: [tasks/]\n", ".", ".", "0 objects in 0 files"},
		{"excluded by name", ".tekgatelint", "exclude: ['bad.*']\n", ".", "tasks/bad.yaml", "0 objects in 0 files"},
		{"named", "other.yaml", one(""), ".", "tasks --suppressions other.yaml", "; 1 suppressed"},
		{"nothing but a comment", ".tekgatelint", "# none\n", ".", ".", "1 error"},
		{"misspelt", ".tekgatelint", "supprss: []\n", ".", ".", `unknown field "supprss": did you mean "suppress"?`},
		{"no reason", ".tekgatelint", "suppress: [{rule: dangling-reference}]\n", ".", ".",
			"suppress[0].reason: it is missing"},
		{"no such rule", ".tekgatelint", "suppress: [{rule: dangling, reason: x}]\n", ".", ".",
			`suppress[0].rule: there is no rule "dangling"`},
		{"no date", ".tekgatelint", one("  until: soon\n"), ".", ".", `suppress[0].until: "soon" is not a date`},
		{"no object", ".tekgatelint", one("  object: a\n"), ".", ".", `suppress[0].object: "a" is not Kind/name`},
		{"no glob", ".tekgatelint", "exclude: ['[']\n", ".", ".", `exclude[0]: "[" is not a glob`},
		{"not well-formed", ".tekgatelint", "suppress: [\n", ".", ".", "line 1: not well-formed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree(t, map[string]string{"repo/.git/HEAD": "", "repo/tasks/bad.yaml": bad,
				filepath.Join("repo", c.file): c.text})
			t.Chdir(filepath.Join("repo", c.folder))
			out, errOut, err := lintWith(t, validator.Rules, "", append(strings.Fields(c.args), theseRules)...)
			if err != nil {
				errOut += err.Error()
			}
			if !strings.Contains(out+errOut, c.say) {
				t.Errorf("got %s%s", out, errOut)
			}
		})
	}
}

// TestLintIgnore holds which line a comment is for.
func TestLintIgnore(t *testing.T) {
	const head = "apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {name: a}\nspec:\n  triggers:\n"
	for _, c := range []struct{ name, text, say string }{
		{"on the line", "  - template: {ref: x} # tekgate: ignore dangling-reference why\n",
			"0 errors, 0 warnings, 0 hints; 1 suppressed"},
		{"above", "  # tekgate: ignore dangling-reference why\n  - template: {ref: x}\n",
			"0 errors, 0 warnings, 0 hints; 1 suppressed"},
		{"above another comment of ours",
			"  # tekgate: ignore dangling-reference why\n  # tekgate: ignore exception why\n  - template: {ref: x}\n",
			"suppresses nothing: exception finds nothing at line 8"},
		{"two above", "  # tekgate: ignore dangling-reference why\n  -\n    template: {ref: x}\n",
			"1 error, 1 warning"},
		{"on the line above, beside something",
			"  - name: x # tekgate: ignore dangling-reference why\n    template: {ref: x}\n", "1 error, 1 warning"},
		{"no reason", "  - template: {ref: x} # tekgate: ignore dangling-reference\n", "it gives no reason"},
		{"no rule", "  - template: {ref: x} # tekgate: ignore\n", "it names no rule"},
		{"misspelt rule", "  - template: {ref: x} # tekgate: ignore dangling-referenc why\n",
			`did you mean "dangling-reference"?`},
		{"misspelt word", "  - template: {ref: x} # tekgate: ignored dangling-reference why\n", "it is not understood"},
		{"of another rule", "  - template: {ref: x} # tekgate: ignore exception why\n", "1 error, 1 warning"},
	} {
		out, errOut, _ := lintWith(t, validator.Rules, head+c.text, "-", theseRules)
		if !strings.Contains(out+errOut, c.say) {
			t.Errorf("%s: got %s%s", c.name, out, errOut)
		}
	}
}
