package interceptor_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/internal/wellknown"
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
verified and then stopped, so that it starts no build. Some forges send a push as the test: it is
recognized by what no real push has, such as the same commit before and after. Where nothing
tells a test from a push, the tables below say so.

eventTypes, repositories, branches, tags and paths are lists of patterns: ` + "`*`" + ` is any
text without a slash, ` + "`**`" + ` any text, ` + "`{a,b}`" + ` either. A pattern after ` + "`!`" + ` takes away what
those before it matched. A deletion passes only where eventTypes names it, as in
` + "`push:deleted`" + `. Where a forge reports the deletion of a branch as the event delete alone, as
Gitea does, ` + "`push:deleted`" + ` asks for that, too: let the hook send it.
`

const referenceExtensions = `
## Extensions

Bindings and later interceptors find these under ` + "`$(extensions.git)`" + `, as in
` + "`$(extensions.git.branch)`" + `. All of them are always there; what a delivery does not
tell is empty. Every text but changedFiles is one word that means itself to a shell, since it ends in
scripts: names hold letters, digits and ` + "`-._/+@#=,%~`" + `, and begin with a letter, a digit,
` + "`_`, `.` or `@`" + `. A delivery about any other name is refused; a sender or a changed file
of such a name is left out.

All of them are strings, since a TriggerTemplate breaks on lists and objects, makes the word
null of a missing value, and rounds numbers. None holds a dollar sign, a quote or a backslash,
so nothing of them is replaced again or ends a text. A CEL interceptor compares words, as in
` + "`extensions.git.draft != \"true\"`" + `, and gets a list of files with
` + "`extensions.git.changedFiles.split(\" \")`" + `. ` + "`unknown`" + ` means that the delivery does not
report it, or that the question makes no sense for it, as whether a push is a draft.

| extension | |
|---|---|
`

const referenceForges = `
## What forges report

Forges differ in what their deliveries tell. These are the answers to the same questions for
each of them, as extensions have them; tests hold the answers to deliveries. What is unknown is
reported as ` + "`unknown`" + `, and never guessed: so ` + "`changedFilesComplete`" + ` is true only where the
forge reports that a push was not forced, and every file of its commits. Elsewhere param paths
lets every push pass, unless ` + "`trustListedFiles`" + ` is true.

The provider generic reports what the payload that its param payload names holds, by the same
fields.
`

const referenceOther = `
## Other than Tekton's own interceptors

For those who come from Tekton's github, gitlab and bitbucket interceptors, this is
what differs here. A test sends the same requests to both.

`

// referenceMore are differences that one request does not show.
var referenceMore = []string{
	"a Secret's value that is shorter than interceptor.minSecretLength is refused",
	"the changed_files of Tekton's github interceptor asks GitHub's API, with a token; changedFiles here is what the payload tells, and changedFilesComplete says whether that is all",
	"a bad or missing signature has the code Unauthenticated, and there FailedPrecondition or InvalidArgument; EventListeners look at neither",
	"one path serves all providers, and nothing else is answered",
}

const referenceRecipes = `
## Recipes

Each has what to do at the sender, the Secret and the interceptor of a Trigger. The
Secret lies in the Trigger's namespace. This is a whole Trigger:

` + "```" + `yaml
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: build, namespace: ci}
spec:
  interceptors:
  - ref: {name: tekgate}
    params:
    - {name: provider, value: gitee}
    - {name: mode, value: sign}
    - name: secretRefs # two while the secret is changed
      value:
      - {secretName: gitee-webhook, secretKey: secretToken}
      - {secretName: gitee-webhook, secretKey: oldSecretToken}
    - {name: eventTypes, value: [push, "merge_request:{open,source_branch_changed}"]}
    - {name: repositories, value: [example/app]}
    - {name: branches, value: [main, "release/*"]}
    - {name: paths, value: ["**", "!docs/**"]}
    - {name: replay, value: enforce}
  bindings:
  - {name: url, value: https://gitee.com/example/app.git} # not the event's: Gitee does not sign it
  - {name: revision, value: $(extensions.git.sha)}
  template: {ref: build}
` + "```" + `

Where a Trigger of a live cluster refuses a delivery that should pass, the sentence
in the EventListener's debug log and the reason in Tekgate's say what is wrong.
` + "`tekgate hook explain`" + ` tries a captured delivery and names the mistake.
`

// TestReference holds PROVIDERS.md to the providers.
func TestReference(t *testing.T) {
	var text bytes.Buffer
	text.WriteString(referenceHead)
	text.WriteString("\n## Params\n\n| param | |\n|---|---|\n")
	for _, p := range hooks.Params {
		fmt.Fprintf(&text, "| %s | %s |\n", p.Name, p.Doc)
	}
	text.WriteString(referenceParams)
	text.WriteString("\n## Providers\n")
	for _, p := range provider.All {
		fmt.Fprintf(&text, "\n### %s\n\n%s\n\n| mode | | signs the time |\n|---|---|---|\n", p.Name, p.Doc)
		for _, m := range p.Modes {
			signsTime := ""
			if m.SignsTime {
				signsTime = "yes"
			}
			fmt.Fprintf(&text, "| %s | %s | %s |\n", m.Name, m.Doc, signsTime)
		}
		if p.ExplicitMode {
			fmt.Fprintf(&text, "\nThe mode has to be named. Where its flag is left out, `tekgate hook` takes %s, and prints that.\n",
				p.RecommendedMode())
		}
		if p.Name == "generic" {
			text.WriteString("\n| param | |\n|---|---|\n")
			for _, s := range hooks.GenericParams {
				fmt.Fprintf(&text, "| %s | %s |\n", s.Name, s.Doc)
			}
		}
	}
	text.WriteString(referenceExtensions)
	for f := range reflect.TypeFor[provider.Git]().Fields() {
		if f.Tag.Get("doc") == "" {
			t.Errorf("extension %s is not documented", f.Name)
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		doc := f.Tag.Get("doc")
		if f.Type == reflect.TypeFor[provider.Known]() {
			doc = "true, false or unknown: " + doc
		}
		fmt.Fprintf(&text, "| %s | %s |\n", name, doc)
	}
	writeForges(&text)
	text.WriteString(referenceOther)
	for _, why := range differences() {
		fmt.Fprintf(&text, "- %s%s.\n", strings.ToUpper(why[:1]), why[1:])
	}
	text.WriteString(referenceRecipes)
	for _, r := range interceptor.Recipes {
		writeRecipe(&text, r)
	}
	golden.Equal(t, "PROVIDERS.md", text.Bytes())
}

// writeForges writes a table for each forge.
func writeForges(text *bytes.Buffer) {
	text.WriteString(referenceForges)
	for _, f := range provider.Forges {
		fmt.Fprintf(text, "\n### %s: deliveries\n\n| | extensions | | source |\n|---|---|---|---|\n", f.Title)
		for i, a := range f.Answers {
			var shown []string
			for pair := range strings.FieldsSeq(a.Shows) {
				name, value, found := strings.Cut(pair, "=")
				switch {
				case !found:
					pair = pair + ", starts nothing"
				case value == "":
					pair = "`" + name + "` empty"
				case value == "COMMIT":
					pair = "`" + name + "` is the commit"
				case name == "pullRequest" && value != "0":
					pair = "`" + name + "` is its number"
				case value == "ZEROS":
					pair = "`" + name + "` is zeros"
				default:
					pair = "`" + name + ": " + strings.ReplaceAll(value, "+", " ") + "`"
				}
				shown = append(shown, pair)
			}
			title := provider.Questions[i].Title
			fmt.Fprintf(text, "| %s | %s | %s | [source](%s) |\n", title, strings.Join(shown, ", "), a.Note, a.Source)
		}
	}
}

// differences are those that the parity cases show, and the others.
func differences() []string {
	var all []string
	for _, c := range parityCases {
		if c.why != "" && !slices.Contains(all, c.why) {
			all = append(all, c.why)
		}
	}
	return append(all, referenceMore...)
}

func writeRecipe(text *bytes.Buffer, r interceptor.Recipe) {
	fmt.Fprintf(text, "\n### %s\n\n%s\n", r.Title, r.Setup)
	if r.Note != "" {
		fmt.Fprintf(text, "\n%s\n", r.Note)
	}
	fmt.Fprintf(text, "\n```sh\nkubectl create secret generic %s-webhook --from-literal=secretToken=\"%s\"\n"+
		"kubectl label secret %[1]s-webhook %[3]s=true\n```\n", r.Name, r.Secret, wellknown.WebhookSecretKey)
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
	for _, p := range hooks.Params {
		if p.Doc == "" {
			t.Errorf("param %s has no doc", p.Name)
		}
	}
	got := send(t, newHandler(signedAt), giteeRequest(param("zzz", 1)))
	_, list, _ := strings.Cut(got.Status.Message, "known here are ")
	var want []string
	for _, p := range hooks.Params {
		want = append(want, p.Name)
	}
	for _, p := range hooks.GenericParams {
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
