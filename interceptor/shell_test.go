package interceptor_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shells read scripts with the words in them. Patterns that match no file vanish in bash, so
// that they show.
var shells = [][]string{{"sh", "-c"}, {"bash", "-O", "nullglob", "-O", "extglob", "-c"}}

// hostile are texts that a shell reads as something else, somewhere.
var hostile = []string{
	"~", "~root", "a=~root", "a:~root", "-n", "+x", "#a", "a#b", "{1..3}", "{a,b}", "{a}", "a*", "a?", "[ab]",
	"dependabot[bot]", "$HOME", "${HOME}", "$(id)", "`id`", "a;b", "a&b", "a|b", "a>b", "a<b", "a\nb", "a\tb", "a b",
	"a'b", `a"b`, `a\b`, "!1", "^a", "%1", "=a", ",a", "@a", "@(a)", "+(a)", "中文", "\u00a0", "a\u2028b", "..", "a..b",
	"refs/heads/~", "https://h/~root/a.git", "git@h:~root/a.git", "https://h/a.git", "--", "-",
}

// places are where one text is put into an otherwise good delivery of GitHub's.
var places = []string{
	"ref", "base.ref", "sha", "full_name", "default_branch", "clone_url", "ssh_url", "login", "action", "file",
	"tag", "number", "event", "id",
}

// TestShell puts every hostile text everywhere.
func TestShell(t *testing.T) {
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			checkShells(t, place, hostile...)
		})
	}
}

// FuzzShell looks for a text that leaves in extensions and that a shell does not take for
// one word that means itself.
func FuzzShell(f *testing.F) {
	for i, text := range hostile {
		f.Add(uint(i), text)
	}
	f.Fuzz(func(t *testing.T, place uint, text string) {
		checkShells(t, places[place%uint(len(places))], text)
	})
}

func checkShells(t *testing.T, place string, texts ...string) {
	t.Helper()
	var words []string
	for _, text := range texts {
		for _, word := range leaving(t, place, text) {
			if word != "" && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	if len(words) == 0 {
		return
	}
	script, want := scriptOf(words)
	for _, shell := range shells {
		cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:len(shell):len(shell)], script)...)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"HOME=/nowhere", "LC_ALL=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%q as %s: %s runs\n%s\nand prints\n%s\nwant\n%s\nerror %v", texts, place, shell[0], script, out,
				want, err)
		}
	}
}

// scriptOf returns a script that has the words wherever scripts have parameters, and what it
// prints if each is one word that means itself.
func scriptOf(words []string) (script, want string) {
	var in, out strings.Builder
	for _, w := range words {
		in.WriteString("set -- " + w + "\nprintf '%s\\n' \"$#\" \"$1\"\n")
		out.WriteString("1\n" + w + "\n")
		in.WriteString("x=" + w + "\nprintf '%s\\n' \"$x\"\n")
		out.WriteString(w + "\n")
		in.WriteString("PATH=/bin:" + w + " command true\n")
		in.WriteString("x=/a:" + w + "\nprintf '%s\\n' \"$x\"\n")
		out.WriteString("/a:" + w + "\n")
		in.WriteString("printf '%s\\n' " + strings.Join([]string{w, `"` + w + `"`, "'" + w + "'", "a=" + w, "--a=" + w,
			"/a/" + w, w + "/a", "a:" + w}, " ") + "\n")
		out.WriteString(strings.Join([]string{w, w, w, "a=" + w, "--a=" + w, "/a/" + w, w + "/a", "a:" + w}, "\n"))
		out.WriteString("\n")
		in.WriteString("cat <<END\n" + w + "\nEND\n")
		out.WriteString(w + "\n")
	}
	return in.String(), out.String()
}

// leaving returns all texts that leave in extensions for a delivery with text at place.
func leaving(t *testing.T, place, text string) []string {
	t.Helper()
	at := func(name, other string) string {
		if name == place {
			return text
		}
		return other
	}
	payload, err := json.Marshal(map[string]any{
		"ref": "refs/heads/" + at("ref", "main"), "after": at("sha", sha), "before": sha2, "action": at("action", "opened"),
		"repository": map[string]any{"full_name": at("full_name", "a/b"), "default_branch": at("default_branch", "main"),
			"clone_url": at("clone_url", "https://example.com/a"), "ssh_url": at("ssh_url", "git@example.com:a")},
		"sender": map[string]any{"login": at("login", "li")},
		"commits": []any{map[string]any{"added": []string{at("file", "a")}, "removed": []string{},
			"modified": []string{}}},
		"release":      map[string]any{"tag_name": at("tag", "")},
		"number":       json.Number(strconv.Itoa(-len(text))),
		"pull_request": map[string]any{"base": map[string]any{"ref": at("base.ref", "main")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	v := signedVector(t, json.RawMessage(`{"provider":"github"}`), secret, "push")
	v.body = string(payload)
	v = resigned(t, v, "push")
	v.header["X-Github-Event"], v.header["X-Github-Delivery"] = at("event", "push"), at("id", "1")
	got := v.send(t)
	if !got.Continue {
		return nil
	}
	raw, err := json.Marshal(got.Extensions["git"])
	var fields map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		t.Fatal(err)
	}
	return textsOf(fields)
}

// textsOf returns the texts and numbers in fields, as Tekton writes them into scripts.
func textsOf(fields map[string]any) []string {
	var texts []string
	for _, value := range fields {
		switch v := value.(type) {
		case string:
			texts = append(texts, v)
		case float64:
			texts = append(texts, strconv.FormatFloat(v, 'f', -1, 64))
		case []any:
			for _, item := range v {
				texts = append(texts, item.(string))
			}
		}
	}
	return texts
}
