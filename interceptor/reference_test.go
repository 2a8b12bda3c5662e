package interceptor_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/golden"
)

const referenceHead = `# Verified events

Written from the code by ` + "`make generate`" + `.

Tekgate's ClusterInterceptor is called ` + "`tekgate`" + `. Put it first in a trigger, since an
interceptor before it may change what was signed. It answers "continue" only to
an event whose signature is right. Without a secret nothing passes, unless the
Trigger says so.

Where several triggers of an EventListener want the same hook's events, put the
interceptor into a triggerGroup: it is asked once then, and not by each trigger.

Tekton answers a delivery with 202 before it asks any interceptor, and its
EventListener logs a refusal at debug level only: look for the event's id in
Tekgate's own log, ` + "`kubectl logs -n tekgate deploy/tekgate-interceptor`" + `, which has one
line for each verdict, its reason in a word, and never a payload or a secret.
`

const referenceParams = `
A param that is not known is an error, for a misspelt check is a check that
nobody makes. Hooks have to send ` + "`application/json`" + `: an EventListener changes forms
before an interceptor sees them. A delivery of a forge's "test" button is
verified and then stopped, so that it starts no build.

eventTypes, repositories, branches, tags and paths are lists of patterns: ` + "`*`" + ` is any
text without a slash, ` + "`**`" + ` any text, ` + "`{a,b}`" + ` either. A pattern after ` + "`!`" + ` takes away what
those before it matched. A deletion passes only where eventTypes names it, as in
` + "`push:deleted`" + `.
`

const referenceExtensions = `
## Extensions

Bindings and later interceptors find these under ` + "`$(extensions.git)`" + `, as in
` + "`$(extensions.git.branch)`" + `. All of them are always there; what a delivery does not
tell is empty. A delivery whose names hold anything but letters, digits and
` + "`-._/+@#=,%~`" + ` is refused, for they end in scripts; a sender or a changed file of such a
name is left out.

| extension | type |
|---|---|
`

const referenceOther = `
## Other than Tekton's own interceptors

Those who come from Tekton's github, gitlab and bitbucket interceptors:

- Without a secret they let everything pass; here it takes ` + "`allowInsecure`" + `, and the log says so.
- A secret of no length is refused here, and so is one shorter than interceptor.minSecretLength. A newline at its end is forgiven here.
- An unknown param is an error here.
- eventTypes are patterns here, and take GitLab's "Push Hook" as well as push. An event that is not wanted is refused before the secret is read.
- A ping is verified and stopped here; there it passes.
- changed_files of the github interceptor asks GitHub's API, with a token; changedFiles here is what the payload tells, and changedFilesComplete says whether that is all.
- A form is refused by their github interceptor, too. Bodies that are no JSON pass here if they are signed, and have no extensions but the event.
- The codes: a bad or missing signature is Unauthenticated here and FailedPrecondition or InvalidArgument there. EventListeners look at none of them.
`

// TestReference holds PROVIDERS.md to the providers.
func TestReference(t *testing.T) {
	var text bytes.Buffer
	text.WriteString(referenceHead)
	text.WriteString("\n## Params\n\n| param | |\n|---|---|\n")
	for _, p := range interceptor.ParamDocs {
		fmt.Fprintf(&text, "| %s | %s |\n", p.Name, p.Doc)
	}
	text.WriteString(referenceParams)
	text.WriteString("\n## Providers\n")
	for _, p := range interceptor.Providers {
		fmt.Fprintf(&text, "\n### %s\n\n%s\n\n| mode | | signs the time |\n|---|---|---|\n", p.Name, p.Doc)
		for _, m := range p.Modes {
			signsTime := ""
			if m.SignsTime {
				signsTime = "yes"
			}
			fmt.Fprintf(&text, "| %s | %s | %s |\n", m.Name, m.Doc, signsTime)
		}
		if p.ExplicitMode {
			text.WriteString("\nThe mode has to be named.\n")
		}
		if p.Name == "generic" {
			text.WriteString("\n| param | |\n|---|---|\n")
			for _, s := range interceptor.SchemeDocs {
				fmt.Fprintf(&text, "| %s | %s |\n", s.Name, s.Doc)
			}
		}
	}
	text.WriteString(referenceExtensions)
	for f := range reflect.TypeFor[interceptor.Git]().Fields() {
		fmt.Fprintf(&text, "| %s | %s |\n", f.Tag.Get("json"), strings.Replace(f.Type.String(), "[]string", "list of strings", 1))
	}
	text.WriteString(referenceOther)
	text.WriteString("\n## Recipes\n")
	for _, r := range interceptor.Recipes {
		writeRecipe(&text, r)
	}
	golden.Equal(t, "PROVIDERS.md", text.Bytes())
}

func writeRecipe(text *bytes.Buffer, r interceptor.Recipe) {
	fmt.Fprintf(text, "\n### %s\n\n%s\n", r.Title, r.Setup)
	if r.Note != "" {
		fmt.Fprintf(text, "\n%s\n", r.Note)
	}
	fmt.Fprintf(text, "\n```sh\nkubectl create secret generic %s-webhook --from-literal=secretToken=\"%s\"\n```\n", r.Name, r.Secret)
	text.WriteString("\n```yaml\ninterceptors:\n- ref: {name: tekgate}\n  params:\n")
	for _, p := range r.Params {
		fmt.Fprintf(text, "  - {name: %s, value: %s}\n", p.Name, yamlWord(p.Value))
	}
	fmt.Fprintf(text, "  - name: secretRef\n    value: {secretName: %s-webhook, secretKey: secretToken}\n```\n", r.Name)
}

// yamlWord quotes what YAML would take for something else.
func yamlWord(s string) string {
	if strings.ContainsAny(s, `:{}[],"'= `) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// TestParamsAreDocumented holds that each param has a line, and each line a param.
func TestParamsAreDocumented(t *testing.T) {
	for _, p := range interceptor.ParamDocs {
		if p.Doc == "" {
			t.Errorf("param %s has no doc", p.Name)
		}
	}
	got := send(t, newHandler(signedAt), giteeRequest(param("zzz", 1)))
	_, list, _ := strings.Cut(got.Status.Message, "known here are ")
	var want []string
	for _, p := range interceptor.ParamDocs {
		want = append(want, p.Name)
	}
	for _, p := range interceptor.SchemeDocs {
		want = append(want, p.Name)
	}
	for _, name := range strings.Split(list, ", ") {
		found := false
		for _, w := range want {
			found = found || w == name
		}
		if !found {
			t.Errorf("param %s is not documented", name)
		}
	}
	if n := len(strings.Split(list, ", ")); n != len(want) {
		t.Errorf("%d params are documented and %d known: %s", len(want), n, list)
	}
}
