package mutator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/problems"
)

// settings are a Config that was found right, prepared for use.
type settings struct {
	Config
	hash   string
	mirror *image.Rules // of the file; nil where there is none

	builders   []builder.Builder
	identities []string // annotations of ServiceAccounts
	// dockerEntry and authFileEntry are the variables of the rule docker-config.
	dockerEntry, authFileEntry map[string]any
	kaniko                     kanikoDefaults
	env                        []envSet
	ca                         caSettings
	resources                  []resourcesSet
	pod                        map[string]any // fields of a podTemplate
	images                     *image.Rules   // of the rule image-mirror
	hasFormer                  bool           // whether images has former mirrors
	starts                     knownStarts    // of images that are known

	// seen is what was found out about images. It is no part of the settings, yet
	// holds for these alone.
	seen struct {
		images   memory[knownImage]
		mirrored memory[mirrored]
	}

	scopes struct {
		account, docker, kaniko, env, ca, resources, secrets, pod, local, images scope
	}

	// podNew has the fields of pod that not every release of Tekton knows, each with what came
	// last of it.
	podNew map[string]*newField
}

// compile checks everything, and reports all that is wrong.
func compile(config Config, mirror *image.Rules) (*settings, error) {
	s := &settings{Config: config, mirror: mirror}
	err := errors.Join(
		s.compileServiceAccount(), s.compileDockerConfig(), s.compileKaniko(), s.compileEnv(), s.compileCABundle(),
		s.compileResources(), s.compileImagePullSecrets(), s.compilePodTemplate(), s.compileLocalTasks(),
		s.compileImageMirror(), s.compileOverlays(),
	)
	if err != nil {
		return nil, problems.Flatten(err)
	}
	s.builders = builder.WithMirror(s.builders, s.images)
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	sum := sha256.Sum256(append(text, mirror.Fingerprint()...))
	s.hash = hex.EncodeToString(sum[:6])
	return s, nil
}

func (s *settings) compileServiceAccount() error {
	c := checker{section: "serviceAccount"}
	s.scopes.account = compileScope(s.ServiceAccount.Scope, s.ServiceAccount.Name != "", false, c.problem)
	if s.ServiceAccount.Name != "" {
		c.names("name", s.ServiceAccount.Name)
	}
	c.names("treatAsUnset", s.ServiceAccount.TreatAsUnset...)
	if slices.Contains(s.ServiceAccount.TreatAsUnset, s.ServiceAccount.Name) && s.ServiceAccount.Name != "" {
		c.problem("treatAsUnset: %q is the ServiceAccount that takes their place: leave it out", s.ServiceAccount.Name)
	}
	return c.err()
}

func (s *settings) compileDockerConfig() error {
	c := checker{section: "dockerConfig"}
	s.scopes.docker = compileScope(s.DockerConfig.Scope, true, true, c.problem)
	if !s.DockerConfig.Disabled {
		c.dockerConfigPath(s.DockerConfig.Path)
	}
	s.builders = builder.Known
	if own := s.DockerConfig.Builders; len(own.Images)+len(own.Commands) > 0 {
		s.builders = append(slices.Clip(builder.Known), builder.Builder{
			Name: "builder of the configuration", Commands: own.Commands,
			Patterns: compileImages(own.Images, "builders.images", c.problem), Configs: builder.Homes,
			AuthFile: builder.AuthFileAlone, // as far as is known
		})
		if slices.ContainsFunc(own.Commands, func(name string) bool { return strings.TrimSpace(name) == "" }) {
			c.problem("builders.commands: one is empty: write the name of a program, such as nerdctl, or its path")
		}
	}
	s.dockerEntry = map[string]any{"name": dockerConfig, "value": s.DockerConfig.Path}
	s.authFileEntry = map[string]any{"name": authFile, "value": path.Join(s.DockerConfig.Path, "config.json")}
	s.identities = append(slices.Clip(workloadIdentities), s.DockerConfig.WorkloadIdentity...)
	return c.err()
}

func (s *settings) compileImagePullSecrets() error {
	c := checker{section: "imagePullSecrets"}
	s.scopes.secrets = compileScope(s.ImagePullSecrets.Scope, len(s.ImagePullSecrets.Names) > 0, false, c.problem)
	c.names("names", s.ImagePullSecrets.Names...)
	return c.err()
}

func (s *settings) compilePodTemplate() error {
	c := checker{section: "podTemplate"}
	fields := s.PodTemplate
	fields.Scope = Scope{}
	pod, err := decoded(fields)
	if err != nil {
		return err
	}
	s.pod, s.podNew = pod, map[string]*newField{}
	for name, value := range pod {
		if newest := newestIn(name, value); newest != nil {
			s.podNew[name] = newest
		}
	}
	s.scopes.pod = compileScope(s.PodTemplate.Scope, len(pod) > 0, false, c.problem)
	return c.err()
}

func (s *settings) compileImageMirror() error {
	c := checker{section: "imageMirror"}
	s.scopes.images = compileScope(s.ImageMirror.Scope, s.ImageMirror.Enabled, true, c.problem)
	s.images = s.mirror
	if own := s.ImageMirror.Mirror; own != nil {
		rules, err := own.Compile()
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				c.problem("%s", line)
			}
		}
		s.images = rules
	}
	s.hasFormer = s.images != nil && len(s.images.Former()) > 0
	s.starts = startsOf(s.images)
	switch s.ImageMirror.Entrypoints {
	case "", EntrypointsKnown, EntrypointsMirror, EntrypointsOff:
	default:
		c.problem("entrypoints: %q is none of known, mirror and off", s.ImageMirror.Entrypoints)
	}
	return c.err()
}

// decoded returns a value as decoded JSON, numbers as json.Number.
func decoded(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var fields map[string]any
	return fields, decoder.Decode(&fields)
}
