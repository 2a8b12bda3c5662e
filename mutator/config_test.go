package mutator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/mutator"
)

func TestConfigValidate(t *testing.T) {
	tests := []struct {
		name, config string
		want         []string // parts of the error; none means valid
	}{
		{name: "default", config: "{}"},
		{name: "other path", config: "dockerConfig: {path: /registry/}"},
		{name: "service account", config: "serviceAccount: {name: builder}"},
		{name: "disabled needs no path", config: "dockerConfig: {disabled: true, path: \"\"}"},
		{name: "empty path", config: "dockerConfig: {path: \"\"}", want: []string{"dockerConfig.path: is empty",
			"disabled: true"}},
		{name: "relative path", config: "dockerConfig: {path: creds/.docker}", want: []string{"not an absolute path",
			"/tekton/creds/.docker"}},
		{name: "variable", config: "dockerConfig: {path: $(credentials.path)/.docker}",
			want: []string{"not an absolute path"}},
		{name: "article's path", config: "dockerConfig: {path: /tekton/home/.docker/}", want: []string{"v0.24"}},
		{name: "home of root", config: "dockerConfig: {path: /root/.docker}", want: []string{"after each stage"}},
		{name: "Kaniko's own", config: "dockerConfig: {path: /kaniko/.docker}",
			want: []string{"Kaniko's image looks anyway"}},
		{name: "no name", config: "serviceAccount: {name: Builder_1}",
			want: []string{`serviceAccount.name: "Builder_1"`}},
		{name: "Docker Hub in a map", config: "kaniko: {registryMap: {docker.io: r.example.com/hub, index.docker.io: r/hub}}"},
		{name: "Docker Hub's address in a map", config: "kaniko: {registryMap: {registry-1.docker.io: r.example.com/hub}}",
			want: []string{`kaniko.registryMap: "registry-1.docker.io"`, "write docker.io"}},
		{name: "a whole map", config: "env: {set: [{variables: [{name: KANIKO_REGISTRY_MAP, value: 'quay.io=r/q;index.docker.io=r/h'}]}]}"},
		{name: "a map that Kaniko does not apply",
			config: "env: {set: [{variables: [{name: KANIKO_REGISTRY_MAP, value: 'docker.io=r/h;;quay.io=r/q'}]}]}",
			want: []string{"env.set[0].variables[0].value: Kaniko never applies the entry for docker.io",
				"write index.docker.io", "env.set[0].variables[0].value: it has an empty part"}},
		{name: "entrypoints", config: "imageMirror: {entrypoints: mirror}"},
		{name: "other entrypoints", config: "imageMirror: {entrypoints: all}",
			want: []string{`imageMirror.entrypoints: "all" is none of known, mirror and off`}},
		{name: "all at once", config: "{dockerConfig: {path: x}, serviceAccount: {name: X}}",
			want: []string{"dockerConfig.path", "serviceAccount.name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := mutator.Default()
			if err := strict.UnmarshalYAML([]byte(tt.config), &config); err != nil {
				t.Fatal(err)
			}
			err := config.Validate()
			if len(tt.want) == 0 && err != nil {
				t.Errorf("got error %v, want none", err)
			}
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v lacks %q", err, part)
				}
			}
		})
	}
}
