package containers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

// ImageRules are about images of steps and sidecars.
var ImageRules = []*rule.Rule{
	imageMalformedRule,
	imageMovedRule,
	imageLatestRule,
	imageFromEventRule,
	imageNotQualifiedRule,
	imageNotPinnedRule,
	imageRegistryRule,
	imageUnreachableRule,
	imageFromParameterRule,
	imageAbsentRule,
}

// ImagePolicy holds the lists of ImageRules.
type ImagePolicy struct {
	// Allowed are the images that may run, for the rule image-registry: patterns
	// of host and path, such as "registry.example.com/**". Empty allows all.
	Allowed []string `json:"allowed,omitempty"`
	// Reachable are the hosts that the cluster can pull from, for the rule
	// image-unreachable: those of mirrors, and those that mirrors stand for.
	// Empty means all.
	Reachable []string `json:"reachable,omitempty"`
}

// Validate reports each problem with the path of its field in the policy.
func (p ImagePolicy) Validate() error {
	problems := []error{checkPatterns("allowed", p.Allowed)}
	for i, host := range p.Reachable {
		if host == "" || strings.ContainsAny(host, "/* ") {
			problems = append(problems,
				fmt.Errorf("reachable[%d]: %q is not a host: write it as in images, such as registry.example.com:5000",
					i, host))
		}
	}
	return errors.Join(problems...)
}

// checkPatterns reports those that are no patterns of images.
func checkPatterns(at string, list []string) error {
	var problems []error
	for i, pattern := range list {
		if _, err := image.CompilePattern(pattern); err != nil {
			problems = append(problems, fmt.Errorf("%s[%d]: %w", at, i, err))
		}
	}
	return errors.Join(problems...)
}
