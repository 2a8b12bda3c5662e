package lint

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// onlineRule asks a registry for the image of each step.
var onlineRule = &validator.Rule{
	ID: "online", Severity: validator.Warning, Doc: "Finds images that are not there.", Online: true,
	Kinds: []schema.GroupVersionKind{taskKind},
	Check: func(ctx context.Context, p *validator.Pass) {
		var r object.Reader
		for i, step := range r.FieldsList(r.Fields(p.Object, "spec"), "steps") {
			path := fmt.Sprintf("spec.steps[%d].image", i)
			exists, flaws, err := p.Registry.Exists(ctx, r.Text(step, "image"))
			switch {
			case err != nil:
				p.Unknown(path, "asking the registry", err)
			case !exists:
				p.Report(path, "image %q is not there", r.Text(step, "image"))
			}
			for _, flaw := range flaws {
				p.Report(path, "%s", flaw)
			}
		}
	},
}

// TestLintOnline holds that registries are asked with --online alone, and that one
// that does not answer is no finding.
func TestLintOnline(t *testing.T) {
	host := clitest.Mirror(t)
	clitest.Push(t, host+"/there:v1", clitest.Platform(t, "amd64"))
	var text strings.Builder
	text.WriteString("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: a}\nspec:\n  steps:\n")
	for _, image := range []string{host + "/there:v1", host + "/absent:v1", "127.0.0.1:1/x:v1"} {
		text.WriteString("  - image: " + image + "\n")
	}
	rules := []*validator.Rule{onlineRule}
	if out, errOut, err := lintWith(t, rules, text.String(), "-"); err != nil || out != "" {
		t.Errorf("without --online: %v %s%s", err, out, errOut)
	}
	out, errOut, err := lintWith(t, rules, text.String(), "-", "--online", "--fail-on", "warning")
	if cli.Status(err) != 1 || out != "standard input:7:12: warning: image \""+host+
		"/absent:v1\" is not there (online)\n" {
		t.Errorf("%v: got %s%s", err, out, errOut)
	}
	if !strings.Contains(errOut,
		"warning: standard input: spec.steps[2].image was not checked: asking the registry failed: ") {
		t.Errorf("it says %s", errOut)
	}
}

// TestLintUnknown holds that what cannot be found out is told once and not for each
// of many objects.
func TestLintUnknown(t *testing.T) {
	text := strings.Repeat(
		"---\napiVersion: tekton.dev/v1\nkind: Task\nmetadata: {generateName: a}\nspec: {steps: [{image: '127.0.0.1:1/x:v1'}]}\n",
		30)
	out, errOut, err := lintWith(t, []*validator.Rule{onlineRule}, text, "-", "--online")
	if err != nil || out != "" || strings.Count(errOut, "warning: ") != 21 ||
		!strings.Contains(errOut, "warning: 10 more things") {
		t.Errorf("%v: got %s%s", err, out, errOut)
	}
}

// TestLintText holds that what is printed cannot steer a terminal, and where colours
// are.
func TestLintText(t *testing.T) {
	p := &problem{File: "f", Line: 1, Column: 2, Rule: "r", Severity: validator.Error, Message: "a\x1b[2Jb\u009bc"}
	for colour, want := range map[bool]string{
		false: "f:1:2: error: a\ufffd[2Jb\ufffdc (r)\n",
		true:  "f:1:2: \x1b[31merror\x1b[0m: a\ufffd[2Jb\ufffdc (r)\n",
	} {
		var out bytes.Buffer
		if err := printText(&out, []*problem{p}, colour); err != nil || out.String() != want {
			t.Errorf("got %q %v", out.String(), err)
		}
		if coloured(&out) {
			t.Error("a buffer is no terminal")
		}
	}
	var out bytes.Buffer
	p.File, p.Message = "a,b:c%.yaml", "50%\r\n"
	if err := printGitHub(&out, []*problem{p}); err != nil ||
		out.String() != "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2,title=tekgate%3A r::50%25%0D%0A\n" {
		t.Errorf("got %q %v", out.String(), err)
	}
	for file, want := range map[string]string{"a b/ü.yaml": "a%20b/%C3%BC.yaml", "./x.yaml": "x.yaml",
		"/a/b.yaml": "file:///a/b.yaml", "a:b.yaml": "./a:b.yaml"} {
		if got := fileURI(file); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}
