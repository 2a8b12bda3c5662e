package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// printed runs a command line with a format and returns what it printed to standard output. Some
// verbs end with an error for what they found.
func printed(t *testing.T, line []string, format string) string {
	t.Helper()
	out, errOut, err := clitest.Run(t, root(), "", append(slices.Clone(line), "-o", format)...)
	if out == "" {
		t.Errorf("%v -o %s printed nothing: %v %s", line, format, err, errOut)
	}
	return out
}

// checkFormats holds that a command line prints the same value in JSON, in YAML and as jsonpath's {@},
// and, if it has names, a line for each. A value that has the time is never the same.
func checkFormats(t *testing.T, line []string, names, same bool) {
	t.Helper()
	var fromJSON, fromYAML, fromPath any
	if text := printed(t, line, "json"); json.Unmarshal([]byte(text), &fromJSON) != nil {
		t.Errorf("%v: not JSON: %s", line, text)
	}
	text := printed(t, line, "yaml")
	if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil && !strings.Contains(text, "\n---\n") {
		t.Errorf("%v: not YAML: %v: %s", line, err, text)
	}
	if text := printed(t, line, "jsonpath={@}"); json.Unmarshal([]byte(text), &fromPath) != nil {
		t.Errorf("%v: the whole by jsonpath is not JSON: %s", line, text)
	}
	streams := slices.Contains([]string{"render", "mutate", "export", "hook"}, line[0]) // of YAML's documents
	if same && (!reflect.DeepEqual(fromJSON, fromPath) || !streams && !reflect.DeepEqual(fromJSON, fromYAML)) {
		t.Errorf("%v: JSON %v, YAML %v, jsonpath %v", line, fromJSON, fromYAML, fromPath)
	}
	if !names {
		return
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(printed(t, line, "name"), "\n"), "\n") {
		if name == "" || strings.ContainsAny(name, " \t{}") {
			t.Errorf("%v: the name %q", line, name)
		}
	}
}

// offline are command lines that need no cluster, each with whether it has names.
func offline(t *testing.T) map[string]bool {
	t.Helper()
	run := clitest.File(t, "run.yaml", "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: build}\nspec:\n"+
		"  taskSpec: {steps: [{name: kaniko, image: 'gcr.io/kaniko-project/executor:v1.23.2', args: ['--destination=r.io/a/b']}]}\n")
	old := clitest.File(t, "old.yaml", "apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: old}\n"+
		"spec: {steps: [{name: s, image: alpine}]}\n")
	docker := clitest.File(t, "config.json", `{"auths":{"r.example.com":{"auth":"bWU6aHVudGVyMg=="}}}`)
	secret, body := clitest.File(t, "secret", "hunter2"), clitest.File(t, "push.json", `{"ref":"refs/heads/main"}`)
	return map[string]bool{
		"versions":                                    true,
		"version --client":                            false,
		"explain alpine:3 --mirror daocloud":          true,
		"images list --mirror daocloud":               true,
		"render --mirror registry.example.com/tekton": true,
		"lint --fail-on never " + run:                 true,
		"lint --rules":                                true,
		"lint --explain dangling-reference":           true,
		"mutate -f " + run:                            true,
		"mutate --explain -f " + run:                  true,
		"scan --mirror daocloud " + run:               true,
		"migrate " + old:                              true,
		"export vap":                                  true,
		"export map":                                  true,
		"hook scaffold --repo https://gitee.com/a/b.git --image r.example.com/a/b":                                           true,
		"hook sign --provider gitee --mode password --time 2026-08-01T12:00:00Z --secret-file " + secret + " --body " + body: false,
		"credentials explain --docker-config " + docker + " --image r.example.com/a:1":                                       false,
	}
}

// TestFormatsOffline holds the formats of all verbs that need no cluster.
func TestFormatsOffline(t *testing.T) {
	t.Setenv("KUBECONFIG", clitest.File(t, "empty", ""))
	lines := offline(t)
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		// The patches of mutate --explain are in another order each time.
		checkFormats(t, strings.Fields(line), lines[line], !strings.HasPrefix(line, "mutate --explain"))
	}
}

// TestFormatsOnline holds the formats of the verbs that ask a cluster.
func TestFormatsOnline(t *testing.T) {
	s := newSite(t)
	install := s.install("registry.example.com")
	s.must(install...)
	for _, line := range [][]string{
		append(slices.Clone(install), "--dry-run"),
		append([]string{"diff"}, onlyDiff(install[1:])...),
		{"uninstall", "--dry-run", "--kubeconfig", s.kubeconfig},
		{"status", "--kubeconfig", s.kubeconfig},
		{"check", "--kubeconfig", s.kubeconfig},
	} {
		checkFormats(t, line, line[0] != "diff", false)
	}
	checkFormats(t, []string{"version", "--kubeconfig", s.kubeconfig}, false, true)
	checkFormats(t, []string{"audit", "--kubeconfig", s.kubeconfig}, false, false)
	checkCredentials(t, []string{"credentials", "registry", "harbor", "--server", "r.example.com", "--username", "me",
		"--password-file", clitest.File(t, "password", "hunter2"), "--dry-run", "--kubeconfig", s.kubeconfig})
}

// checkCredentials holds that a dry run prints each object by itself, and no password.
func checkCredentials(t *testing.T, line []string) {
	t.Helper()
	if got := printed(t, line, "name"); got != "secret/harbor\nserviceaccount/default\n" {
		t.Errorf("names %q", got)
	}
	objects := 0
	for text := range strings.SplitSeq(strings.TrimSuffix(printed(t, line, "json"), "\n"), "\n") {
		var object struct{ Kind string }
		if json.Unmarshal([]byte(text), &object) != nil || object.Kind == "" {
			t.Errorf("not an object: %s", text)
		}
		objects++
	}
	all := printed(t, line, "json") + printed(t, line, "yaml") + printed(t, line, "jsonpath={@}")
	if objects != 2 || strings.Contains(all, "hunter2") || strings.Contains(all, "aHVudGVyM") {
		t.Errorf("%d objects:\n%s", objects, all)
	}
}

// onlyDiff returns those of install's flags that diff has.
func onlyDiff(flags []string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(flag string) bool {
		return strings.HasPrefix(flag, "--skip-probe") || strings.HasPrefix(flag, "--wait") || flag == "--yes"
	})
}

// TestFormatsEverywhere holds that every verb with the flag --output has the formats that programs
// read, and that the verbs without it print neither objects nor rows.
func TestFormatsEverywhere(t *testing.T) {
	without := []string{
		"credentials", "export", "hook", "images", // groups
		"images export",                   // the files of a tool
		"hook send", "hook report-status", // one sentence
		"support-bundle", // -o is a file
	}
	for _, cmd := range commands(root())[1:] {
		_, path, _ := strings.Cut(cmd.CommandPath(), " ")
		if slices.Contains(without, path) {
			continue
		}
		checkOffered(t, path, cmd)
	}
}

func checkOffered(t *testing.T, path string, cmd *cobra.Command) {
	t.Helper()
	if cmd.Flags().Lookup("output") == nil {
		t.Errorf("%s has no flag --output", path)
		return
	}
	offered, _ := completed(t, root(), append(strings.Fields(path), "-o", "")...)
	for _, format := range []string{"json", "yaml", "jsonpath="} {
		if !slices.Contains(offered, format) {
			t.Errorf("%s has not the format %s: %q", path, format, offered)
		}
	}
}
