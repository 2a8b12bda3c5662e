package entrypoint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func imageOf(name string, programs ...entrypoint.Program) entrypoint.Image {
	return entrypoint.Image{Image: name, Digest: digest, Programs: programs}
}

func TestCommand(t *testing.T) {
	program := func(platform string, entry, cmd string) entrypoint.Program {
		return entrypoint.Program{Platforms: []string{platform}, Entrypoint: strings.Fields(entry),
			Cmd: strings.Fields(cmd)}
	}
	for _, c := range []struct {
		name               string
		image              entrypoint.Image
		none, some, unsure string // "" for none
	}{
		{"entrypoint", imageOf("x", program("a", "/e", "")), "/e", "/e", "/e"},
		{"both", imageOf("x", program("a", "/e -f", "c d")), "/e -f c d", "/e -f", ""},
		{"cmd", imageOf("x", program("a", "", "/bin/sh")), "/bin/sh", "/bin/sh", "/bin/sh"},
		{"nothing", imageOf("x", program("a", "", "")), "", "", ""},
		{"no platform", imageOf("x"), "", "", ""},
		{"other entrypoints", imageOf("x", program("a", "/e", ""), program("b", "/f", "")), "", "", ""},
		{"other arguments", imageOf("x", program("a", "/e", "c"), program("b", "/e", "d")), "", "/e", ""},
		{"other commands", imageOf("x", program("a", "", "c"), program("b", "", "d")), "", "", ""},
		{"a variable", imageOf("x", program("a", "/e $(HOME)", "")), "", "", ""},
	} {
		for args, want := range map[entrypoint.Args]string{
			entrypoint.NoArgs: c.none, entrypoint.SomeArgs: c.some, entrypoint.UnknownArgs: c.unsure,
		} {
			command, why := c.image.Command(args)
			if got := strings.Join(command, " "); got != want || (why == "") != (want != "") {
				t.Errorf("%s, %v: got %q, %q, want %q", c.name, args, got, why, want)
			}
		}
	}
}

func TestAdd(t *testing.T) {
	var one entrypoint.Image
	one.Add("linux/amd64", []string{"/e"}, nil)
	one.Add("linux/arm64", []string{"/e"}, nil)
	one.Add("linux/arm64", []string{"/e"}, nil)
	one.Add("windows/amd64", []string{"e.exe"}, nil)
	if len(one.Programs) != 2 || !slices.Equal(one.Programs[0].Platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("got %+v", one.Programs)
	}
}

func TestTable(t *testing.T) {
	program := entrypoint.Program{Platforms: []string{"linux/amd64"}, Entrypoint: []string{"/e"}}
	data, err := entrypoint.Data([]entrypoint.Image{imageOf("r.example.com/b:v1", program),
		imageOf("r.example.com/a", program)})
	if err != nil {
		t.Fatal(err)
	}
	table, err := entrypoint.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"r.example.com/b:v1": true, "r.example.com/b@" + digest: true, "r.example.com/b:v1@" + digest: true,
		"r.example.com/b:v2@" + digest: true, "r.example.com/a": true, "r.example.com/a:latest": true,
		"r.example.com/b": false, "r.example.com/b:v2": false, "r.example.com/c:v1": false,
		"r.example.com/b:v1@" + strings.Replace(digest, "0", "1", 1): false,
	} {
		ref, err := image.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := table.Find(ref); is != want {
			t.Errorf("%s is found: %v, want %v", name, is, want)
		}
	}
}

func TestParseProblems(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":      {"", ""},
		"other kind":   {`{"apiVersion":"tekgate.dev/v1alpha1","kind":"Lock","images":[]}`, "images lock"},
		"unknown":      {`{"apiVersion":"tekgate.dev/v1alpha1","kind":"Entrypoints","imags":[]}`, "imags"},
		"no reference": {`{"apiVersion":"tekgate.dev/v1alpha1","kind":"Entrypoints","images":[{"image":"A B","digest":"","programs":[]}]}`, "images[0]"},
		"no JSON":      {"x", "entrypoints.json"},
	} {
		table, err := entrypoint.Parse(map[string]string{entrypoint.Key: c.text})
		if table != nil || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, error %v", name, table, err)
		}
	}
	if _, is := (*entrypoint.Table)(nil).Find(image.Reference{Host: "a", Path: "b"}); is {
		t.Error("a table that is not there finds an image")
	}
}

func TestTooMuch(t *testing.T) {
	long := entrypoint.Program{Entrypoint: []string{strings.Repeat("x", entrypoint.MaxBytes)}}
	if _, err := entrypoint.Data([]entrypoint.Image{imageOf("a", long)}); err == nil {
		t.Error("a text that no ConfigMap holds is no error")
	}
}
