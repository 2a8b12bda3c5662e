package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/suggest"
)

// CheckComponent returns an error if there is no component of this name.
func CheckComponent(name string) error {
	known := release.ComponentNames()
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("component %q does not exist: %s", name,
		suggest.DidYouMean(name, known, "the components are "+strings.Join(known, ", ")))
}

func validateComponents(names []string) error {
	if names == nil {
		return nil
	}
	var problems []error
	for n, name := range names {
		if err := CheckComponent(name); err != nil {
			problems = append(problems, fmt.Errorf("components[%d]: %w", n, err))
		}
		if slices.Contains(names[:n], name) {
			problems = append(problems, fmt.Errorf("components[%d]: %s is listed twice", n, name))
		}
	}
	if !slices.Contains(names, release.Pipelines) {
		problems = append(problems, errors.New("components: add pipelines: all others need it, and so does Tekgate"))
	}
	return errors.Join(problems...)
}
