package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/completion"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// completed returns what a shell would offer after the words, without descriptions.
func completed(t *testing.T, root *cobra.Command, words ...string) (offered []string, directive string) {
	t.Helper()
	out, _, err := clitest.Run(t, root, "", append([]string{cobra.ShellCompNoDescRequestCmd}, words...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	last := len(lines) - 1
	return lines[:last], lines[last]
}

// What a shell does after completing: offer no files, or also add no space.
const (
	noFiles = ":4"
	noSpace = ":6"
	files   = ":0"
)

// TestCompletionOfValues holds which values flags have without a cluster.
func TestCompletionOfValues(t *testing.T) {
	t.Setenv("KUBECONFIG", clitest.File(t, "kubeconfig", `{apiVersion: v1, kind: Config, current-context: west,
contexts: [{name: west, context: {cluster: w, user: u}}, {name: east, context: {cluster: e, user: v}}],
clusters: [{name: w, cluster: {server: 'https://127.0.0.1:1'}}, {name: e, cluster: {server: 'https://127.0.0.1:1'}}],
users: [{name: u, user: {}}, {name: v, user: {}}]}`))
	for line, want := range map[string]string{
		"install --mirror":                  "daocloud daocloud-hosts tektondev upstream",
		"images copy --from":                "daocloud daocloud-hosts tektondev upstream",
		"install --version":                 "v1.15 v1.12 v1.9 v1.6",
		"upgrade --to":                      "v1.15 v1.12 v1.9 v1.6",
		"install --with":                    "dashboard chains results pruner manual-approval-gate",
		"check --context":                   "east west",
		"check --cluster":                   "e w",
		"check --user":                      "u v",
		"hook sign --provider":              "gitee github gitlab gitea gitcode bitbucket generic",
		"hook register --provider":          "gitee gitcode github gitlab gitea forgejo gogs bitbucket",
		"hook sign --provider gitee --mode": "password sign",
		"lint --fail-on":                    "error warning info never",
		"audit --severity":                  "error warning info",
		"hook report-status --state":        "pending success failure error",
		"check -o":                          "table json yaml name jsonpath=",
		"hook sign --output":                "table json yaml jsonpath=",
		"render -o":                         "yaml json name jsonpath=",
		"install -o":                        "json yaml name jsonpath=",
		"lint -o":                           "text json yaml name jsonpath= sarif github",
		"audit -o":                          "table json yaml name jsonpath= html openreports",
		"mutate -o":                         "yaml json name jsonpath= diff patch",
	} {
		got, directive := completed(t, root(), append(strings.Fields(line), "")...)
		if strings.Join(got, " ") != want || directive != noFiles && directive != noSpace {
			t.Errorf("%s: got %q %s, want %q", line, got, directive, want)
		}
	}
	for _, line := range []string{"lint --only", "lint --except", "lint --explain", "audit --rule"} {
		got, _ := completed(t, root(), append(strings.Fields(line), "")...)
		if !slices.Contains(got, "dangling-reference") {
			t.Errorf("%s: got %q", line, got)
		}
	}
	for line, want := range map[string]string{
		"lint": files, "images load": files, "check": noFiles, "explain": noFiles, "hook report-status --context": files,
	} {
		got, directive := completed(t, root(), append(strings.Fields(line), "")...)
		if len(got) > 0 || directive != want {
			t.Errorf("%s: got %q %s, want nothing and %s", line, got, directive, want)
		}
	}
	// A cluster that does not answer is no error.
	if got, directive := completed(t, root(), "hook", "sign", "--trigger", ""); len(got) > 0 || directive != noFiles {
		t.Errorf("without a cluster: got %q %s", got, directive)
	}
}

// TestCompletionRows holds that every row of completion's tables is for a flag that some command has.
func TestCompletionRows(t *testing.T) {
	all := commands(root())
	for _, flag := range completion.Flags() {
		command, name, _ := strings.Cut(flag, "--")
		found := slices.ContainsFunc(all, func(cmd *cobra.Command) bool {
			_, path, _ := strings.Cut(cmd.CommandPath(), " ")
			has := cmd.LocalFlags().Lookup(name)
			return has != nil && (command == "" || strings.TrimSpace(command) == path)
		})
		if !found {
			t.Errorf("no command has the flag %s", flag)
		}
	}
	for _, path := range completion.FileCommands() {
		cmd, _, err := root().Find(strings.Fields(path))
		if err != nil || cmd.CommandPath() != "tekgate "+path || cmd.Args == nil && path != "scan" {
			t.Errorf("%s is no command that takes files", path)
		}
	}
}

// TestCompletionOfObjects holds that names are those of the cluster and of the namespace that the
// command line names.
func TestCompletionOfObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	s := clitest.NewSite(t, nil, c.Config, c.Kubeconfig)
	s.TektonKinds()
	for _, object := range []string{
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: Trigger, metadata: {name: build, namespace: ci}, spec: {template: {ref: t}}}",
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: Trigger, metadata: {name: other, namespace: other}, spec: {template: {ref: t}}}",
		"{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: lint-1, namespace: ci}, spec: {taskRef: {name: lint}}}",
		"{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: build-1, namespace: ci}, spec: {pipelineRef: {name: build}}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: harbor, namespace: ci}}",
		"{apiVersion: v1, kind: ServiceAccount, metadata: {name: builder, namespace: ci}}",
	} {
		s.Create(object)
	}
	t.Setenv("KUBECONFIG", clitest.File(t, "empty", ""))
	for line, want := range map[string]string{
		"hook sign -n ci --trigger":                    "build",
		"hook sign --namespace=other --trigger":        "other",
		"hook deliveries -n ci --trigger":              "build",
		"hook sign --trigger":                          "",
		"credentials explain -n ci --secret":           "harbor",
		"credentials registry -n ci --service-account": "builder",
		"why -n ci":                                          "pipelinerun taskrun build-1 lint-1",
		"why -n ci taskrun":                                  "lint-1",
		"why -n ci pipelinerun":                              "build-1",
		"hook sign -n ci --as stranger --trigger":            "",
		"support-bundle --namespace ci --context none -n":    "",
		"hook sign -n ci --request-timeout 1s --trigger bui": "build",
	} {
		tree := root()
		words := strings.Fields(line)
		last := ""
		if words[len(words)-1] == "bui" {
			last, words = "bui", words[:len(words)-1]
		}
		words = append([]string{words[0]}, append(words[1:], last)...)
		at := len(words) - 1
		if strings.HasPrefix(words[at-1], "-") { // before the flag whose value is completed
			at--
		}
		words = slices.Insert(words, at, "--kubeconfig", c.Kubeconfig)
		got, directive := completed(t, tree, words...)
		if strings.Join(got, " ") != want || directive != noFiles {
			t.Errorf("%s: got %q %s, want %q", line, got, directive, want)
		}
	}
	got, _ := completed(t, root(), "audit", "--kubeconfig", c.Kubeconfig, "-n", "")
	if !slices.Contains(got, "ci") || !slices.Contains(got, "kube-system") {
		t.Errorf("namespaces: %q", got)
	}
}

// TestPluginNames holds that every command's texts have the name by which the program was called.
func TestPluginNames(t *testing.T) {
	for _, file := range []string{"tkn-tekgate", "kubectl-tekgate"} {
		name, tree := cli.Called("/usr/local/bin/"+file), root()
		name.Apply(tree)
		for _, cmd := range commands(tree) {
			words := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), name.Shown))
			help, _, err := clitest.Run(t, tree, "", append(words, "--help")...)
			if err != nil {
				t.Fatal(err)
			}
			for _, verb := range root().Commands() {
				plain := strings.ReplaceAll(strings.ReplaceAll(help, name.Shown, ""), "TODO(tekgate migrate)", "")
				if strings.Contains(plain, "tekgate "+verb.Name()+" ") {
					t.Errorf("%s: the help names the command tekgate %s", cmd.CommandPath(), verb.Name())
				}
			}
			if !strings.Contains(help, name.Shown) {
				t.Errorf("%s: the help lacks the name", cmd.CommandPath())
			}
		}
	}
}
