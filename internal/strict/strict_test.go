package strict_test

import (
	"strings"
	"testing"

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
