package mutator

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is the section `mutator` of the configuration file, with one field per
// rule.
type Config struct {
	DockerConfig   DockerConfig   `json:"dockerConfig"`
	ServiceAccount ServiceAccount `json:"serviceAccount"`
}

// DockerConfig configures the rule docker-config.
type DockerConfig struct {
	// Disabled switches the rule off. It is not called off, which YAML takes for
	// false.
	Disabled bool `json:"disabled,omitempty"`
	// Path is the folder whose config.json Kaniko reads its credentials from.
	Path string `json:"path"`
}

// ServiceAccount configures the rule service-account.
type ServiceAccount struct {
	// Name is the ServiceAccount for TaskRuns that name none. Empty, as it is by
	// default, switches the rule off: a ServiceAccount is a privilege, which
	// nobody should be given unasked.
	Name string `json:"name,omitempty"`
}

// Default returns the configuration that holds where the file says nothing.
func Default() Config {
	return Config{DockerConfig: DockerConfig{Path: "/tekton/creds/.docker"}}
}

// Validate reports all that is wrong, joined, each problem with the path of its
// field in the section.
func (c Config) Validate() error {
	return errors.Join(c.DockerConfig.validate(), c.ServiceAccount.validate())
}

// brokenPaths are values that look right, and that people paste from old
// articles, with the reason why Kaniko finds no credentials there.
var brokenPaths = []struct{ path, reason string }{
	{"/tekton/home", "Tekton has put no credentials there since v0.24"},
	{"/root", "Kaniko deletes it after each stage of a Dockerfile"},
	{"/kaniko", "it is where Kaniko's image looks anyway, and where Tekton puts nothing"},
}

func (c DockerConfig) validate() error {
	const remedy = `write /tekton/creds/.docker, which every version of Tekton fills`
	if c.Disabled {
		return nil
	}
	if c.Path == "" {
		return errors.New("dockerConfig.path: is empty: write `disabled: true` to switch the rule off")
	}
	if !path.IsAbs(c.Path) || strings.Contains(c.Path, "$(") {
		return fmt.Errorf("dockerConfig.path: %q is not an absolute path: %s", c.Path, remedy)
	}
	for _, broken := range brokenPaths {
		if within(broken.path, path.Clean(c.Path)) {
			return fmt.Errorf("dockerConfig.path: %q does not work, since %s: %s", c.Path, broken.reason, remedy)
		}
	}
	return nil
}

func (c ServiceAccount) validate() error {
	if c.Name == "" {
		return nil
	}
	if problems := validation.IsDNS1123Subdomain(c.Name); len(problems) > 0 {
		return fmt.Errorf("serviceAccount.name: %q is not a name: %s", c.Name, problems[0])
	}
	return nil
}

// within tells whether the clean path inner is outer or lies below it.
func within(outer, inner string) bool {
	rest, below := strings.CutPrefix(inner, strings.TrimSuffix(outer, "/"))
	return below && (rest == "" || rest[0] == '/')
}
