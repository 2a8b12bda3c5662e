package strict_test

import (
	stdjson "encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/strict"
)

type secretRef struct {
	SecretName string `json:"secretName"`
	SecretKey  string `json:"secretKey"`
}

type params struct {
	Provider  string               `json:"provider"`
	SecretRef *secretRef           `json:"secretRef,omitempty"`
	Rules     []secretRef          `json:"rules,omitempty"`
	ByName    map[string]secretRef `json:"byName,omitempty"`
}

type everything struct {
	Text    string                     `json:"text"`
	Texts   []string                   `json:"texts"`
	Flag    *bool                      `json:"flag"`
	Count   int                        `json:"count"`
	Port    uint16                     `json:"port"`
	Share   float64                    `json:"share"`
	For     metav1.Duration            `json:"for"`
	Memory  *resource.Quantity         `json:"memory"`
	One     secretRef                  `json:"one"`
	Many    []secretRef                `json:"many"`
	ByName  map[string][]string        `json:"byName"`
	Kept    stdjson.RawMessage         `json:"kept"`
	Free    any                        `json:"free"`
	Nested  map[string]map[string]bool `json:"nested"`
	Because because                    `json:"because"`
	Bytes   []byte                     `json:"bytes"`
}

// because reads its own text.
type because string

func (b *because) UnmarshalJSON(text []byte) error { return stdjson.Unmarshal(text, (*string)(b)) }

// Values of a wrong type are named by their path, all at once, without Go's types.
func TestMistyped(t *testing.T) {
	for in, want := range map[string]string{
		"text: 1.30":           "text: must be a string, not the number 1.3: put it in quotes",
		"text: yes":            "text: must be a string, not the boolean true: put it in quotes",
		"text: [a]":            "text: must be a string, not a list",
		"text: {a: b}":         "text: must be a string, not a mapping",
		"texts: a":             "texts: must be a list, each item a string, not a string: put it in brackets or after a dash",
		"texts: [a, 1, b, no]": "texts[1]: must be a string, not the number 1: put it in quotes\ntexts[3]: must be a string, not the boolean false: put it in quotes",
		"flag: on it":          "flag: must be true or false, not a string",
		`flag: "true"`:         "flag: must be true or false, not a string: leave the quotes out",
		"count: 1.5":           "count: must be a whole number, not the number 1.5",
		`count: "3"`:           "count: must be a whole number, not a string: leave the quotes out",
		"port: 70000":          "port: must be a whole number from 0 to 65535, not the number 70000",
		"port: -1":             "port: must be a whole number from 0 to 65535, not the number -1",
		"share: a":             "share: must be a number, not a string",
		"for: 5 minutes":       "for: must be a duration such as 30s, 5m or 24h",
		"for: ":                "for: must be a duration such as 30s, 5m or 24h",
		"for: 30":              "for: must be a duration such as 30s, 5m or 24h",
		"memory: lots":         "memory: quantities must match the regular expression",
		"one: a":               "one: must be a mapping with fields such as secretName, secretKey, not a string",
		"one: {secretKey: 7}":  "one.secretKey: must be a string, not the number 7: put it in quotes",
		"many: {secretKey: a}": "many: must be a list, each item a mapping with fields such as secretName, secretKey, not a mapping",
		"many: [{}, a]":        "many[1]: must be a mapping with fields such as secretName, secretKey, not a string",
		"byName: [a]":          "byName: must be a mapping, not a list",
		"byName: {a: b}":       "byName.a: must be a list, each item a string, not a string: put it in brackets or after a dash",
		"nested: {a: {b: c}}":  "nested.a.b: must be true or false, not a string",
		"because: 1":           "because: must be a string, not the number 1",
		"bytes: 1":             "bytes: must be a string, not the number 1",
		"- a":                  "must be a mapping with fields such as text, texts, flag, not a list",
		"hello":                "must be a mapping with fields such as text, texts, flag, not a string",
		"{text: 1, one: a, kept: [1], free: {a: 1}}": "text: must be a string, not the number 1: put it in quotes\n" +
			"one: must be a mapping with fields such as secretName, secretKey, not a string",
	} {
		err := strict.UnmarshalYAML([]byte(in), &everything{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s:\n%v\nwant\n%s", in, err, want)
		}
	}
	const nulls = "{text: , one: , many: , port: , memory: , nested: {a: }}"
	if err := strict.UnmarshalYAML([]byte(nulls), &everything{}); err != nil {
		t.Errorf("nulls: %v", err)
	}
}

func TestUnmarshalYAML(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // parts of the error; none means success
	}{
		{name: "known fields", in: "provider: gitee\nsecretRef: {secretName: a, secretKey: b}\n"},
		{name: "misspelt", in: "provder: gitee\n", want: []string{`unknown field "provder": did you mean "provider"?`}},
		{name: "case matters", in: "secretref: {}\n", want: []string{`did you mean "secretRef"?`}},
		{name: "nested", in: "secretRef: {secretname: a}\n",
			want: []string{`unknown field "secretRef.secretname": did you mean "secretName"?`}},
		{name: "in a list", in: "rules: [{secretName: a}, {key: b}]\n", want: []string{`unknown field "rules[1].key"`}},
		{name: "nothing alike", in: "zzz: 1\n", want: []string{"known here are provider, secretRef, rules, byName"}},
		{name: "all at once", in: "zzz: 1\nprovder: x\n", want: []string{`"zzz"`, `"provder"`}},
		{name: "duplicate", in: "provider: a\nprovider: b\n", want: []string{"provider"}},
		{name: "wrong type", in: "provider: [1]\n", want: []string{"provider"}},
		{name: "not YAML", in: "a: b: c", want: []string{"parsing YAML"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := strict.UnmarshalYAML([]byte(tt.in), &params{})
			if len(tt.want) == 0 {
				if err != nil {
					t.Fatalf("got error %v, want none", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got no error, want one with %q", tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
		})
	}
}

// Meta, typeMeta and object are the parts of an object as Kubernetes' types have them.
type Meta struct {
	Name   string `json:"name,omitempty"`
	Labels string `json:"labels,omitempty"`
}

type typeMeta struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
}

type object struct {
	typeMeta `json:",inline"`
	Meta     `json:"metadata"`
	Spec     struct {
		Tasks []string `json:"tasks"`
		Main  struct {
			Image string `json:"image"`
		} `json:"main"`
	} `json:"spec"`
	Status struct {
		Reason string `json:"reason"`
	} `json:"status"`
}

// TestUnknownFieldOfObject holds that what metadata embeds is not known beside it, and where a field
// that was moved out of its mapping belongs.
func TestUnknownFieldOfObject(t *testing.T) {
	for in, want := range map[string]string{
		"tasks: []":                 `unknown field "tasks": did you mean "spec.tasks"?`,
		"name: a":                   `unknown field "name": did you mean "metadata.name"?`,
		"nonsense: a":               `unknown field "nonsense": known here are apiVersion, kind, metadata, spec`,
		"spec: {image: a}":          `unknown field "spec.image": did you mean "main.image"?`,
		"reason: a":                 `unknown field "reason": known here are apiVersion, kind, metadata, spec`,
		"metadata: {label: a}":      `unknown field "metadata.label": did you mean "labels"?`,
		"kinds: a":                  `unknown field "kinds": did you mean "kind"?`,
		"spec: {main: {images: a}}": `unknown field "spec.main.images": did you mean "image"?`,
	} {
		err := strict.UnmarshalYAML([]byte(in), &object{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

// TestFieldError holds that each error names its field.
func TestFieldError(t *testing.T) {
	err := strict.UnmarshalYAML([]byte("zzz: 1\nrules: [{}, {key: b}]\n"), &params{})
	var paths []string
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
		var field *strict.FieldError
		if errors.As(one, &field) {
			paths = append(paths, field.Path)
		}
	}
	err = strict.UnmarshalYAML([]byte("rules: {}\nprovider: 3\n"), &params{})
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
		var field *strict.FieldError
		if errors.As(one, &field) {
			paths = append(paths, field.Path)
		}
	}
	if want := []string{"rules[1].key", "zzz", "provider", "rules"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
}
