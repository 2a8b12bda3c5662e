package hook

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// oddNames are names of objects that YAML reads as something else than a string.
var oddNames = []string{
	"2048", "null", "007", "1e3", "1e5", "true", "false", "123", "0", "00", "y", "n", "yes", "no", "on", "off", "0x1f",
	"0b1", "0o7", "1-2", "2001-01-01", "inf", "nan", "e", "1e", "1", "9", "x",
}

// scaffoldDocuments returns what a scaffold prints as one JSON text, decoded strictly.
func scaffoldDocuments(t *testing.T, args []string) string {
	t.Helper()
	out, _, err := hookTool(t, append([]string{"scaffold", "--image=registry.example.com/img"}, args...)...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	var all []any
	for text := range strings.SplitSeq(out, "\n---\n") {
		var document map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &document); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, text)
		}
		all = append(all, document)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestScaffoldNamesAreStrings gives flags odd names, and wants the same objects as with harmless
// ones, with nothing but the names replaced.
func TestScaffoldNamesAreStrings(t *testing.T) {
	flags := []string{"name", "namespace", "secret", "secret-key", "service-account", "deploy-namespace",
		"deploy-account", "status-secret", "ingress-class", "tls-secret", "tls-issuer", "controller-namespace",
		"gateway"}
	for i, odd := range oddNames {
		for _, expose := range []string{"ingress", "gateway"} {
			harmless := []string{"--repo=https://gitee.com/team/zzrepo", "--status", "--deploy=d.yaml",
				"--expose=" + expose, "--host=h.example.com"}
			given := append([]string(nil), harmless...)
			var replace []string
			for j, flag := range flags {
				ofIngress := flag == "ingress-class" || flag == "tls-secret" || flag == "tls-issuer"
				if expose == "gateway" && ofIngress || expose == "ingress" && flag == "gateway" {
					continue
				}
				name, value := "zz"+string(rune('a'+j))+"zz", odd
				// Accounts must differ.
				if flag == "deploy-account" {
					value = oddNames[(i+1)%len(oddNames)]
				}
				replace = append(replace, name, value)
				if flag == "gateway" {
					name, value = name+"/"+name, value+"/"+value
				}
				harmless, given = append(harmless, "--"+flag+"="+name), append(given, "--"+flag+"="+value)
			}
			want := strings.NewReplacer(replace...).Replace(scaffoldDocuments(t, harmless))
			var got, wanted any
			if err := json.Unmarshal([]byte(scaffoldDocuments(t, given)), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(want), &wanted); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, wanted) {
				t.Errorf("%s, %s: got\n%v\nwant\n%v", odd, expose, got, wanted)
			}
		}
	}
}

// TestScaffoldSecretKeyIsString does it for keys, which may have more characters than names, and
// for a repository's own name.
func TestScaffoldSecretKeyIsString(t *testing.T) {
	harmless := []string{"--repo=https://github.com/team/app", "--provider=github"}
	for _, key := range append([]string{".5", "-1", "1_000", "_", ".inf", ".nan", "-", "---", "-.inf", "NULL",
		"Yes", "1.5", "a.b"}, oddNames...) {
		want := strings.ReplaceAll(scaffoldDocuments(t, append(harmless, "--secret-key=zzkey")), "zzkey", key)
		if got := scaffoldDocuments(t, append(harmless, "--secret-key="+key)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", key, got, want)
		}
	}
	got := scaffoldDocuments(t, []string{"--provider=github", "--repo=https://github.com/gabrielecirulli/2048"})
	if !strings.Contains(got, `"name":"2048"`) || strings.Contains(got, ":2048") {
		t.Errorf("repository 2048 has\n%s", got)
	}
}

// TestScaffoldQuotesNothingHarmless holds that usual names are written without quotes.
func TestScaffoldQuotesNothingHarmless(t *testing.T) {
	for text, want := range map[string]string{"app": "app", "my-app2": "my-app2", "secretToken": "secretToken",
		"hooks.example.com": "hooks.example.com", "no": `"no"`, "2048": `"2048"`, "": `""`, "a: b": `"a: b"`} {
		if got, err := yamlString(text); err != nil || got != want {
			t.Errorf("%q: got %s, error %v, want %s", text, got, err, want)
		}
	}
}
