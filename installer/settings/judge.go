package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/suggest"
)

// judge returns those of the ConfigMaps that know a key, and what is wrong with the key or
// its value.
func (a *application) judge(targets []*unstructured.Unstructured, path, key, value string) (
	taken []*unstructured.Unstructured, err error,
) {
	var found []error
	listed := map[string]bool{}
	for _, target := range targets {
		examples := exampleValues(target)
		for k := range examples {
			listed[k] = true
		}
		if _, isListed := examples[key]; !isListed && !probe(target, key) {
			continue
		}
		taken = append(taken, target)
		found = append(found, a.judgeValue(target, examples, path, key, value))
	}
	if len(taken) > 0 {
		return taken, errors.Join(firstOf(found))
	}
	known := slices.Sorted(maps.Keys(listed))
	otherwise := "the release lists no keys of it"
	if len(known) > 0 {
		otherwise = "the keys are " + strings.Join(known, ", ")
	}
	if targets[0].GetName() == "config-registry-cert" {
		otherwise = "pass --ca-file, which fills it"
	}
	return nil, fmt.Errorf("tekton.%s.%s: Tekton does not know this key in %s: %s", path, key, kube.Name(targets[0]),
		suggest.DidYouMean(key, known, otherwise))
}

// firstOf returns the first error: the same value is wrong in all ConfigMaps of a section.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeValue checks a value of a known key.
func (a *application) judgeValue(
	target *unstructured.Unstructured, examples map[string]string, path, key, value string,
) error {
	if strings.HasSuffix(target.GetName(), "-info") {
		return fmt.Errorf("tekton.%s.%s: %s says which version runs: leave it out", path, key, kube.Name(target))
	}
	err := checkMeaning(target, key, value)
	if err == nil && probe(target, key) {
		data := installer.ConfigData(target)
		if data == nil {
			data = map[string]string{}
		}
		data[key] = value
		err = parse(target, data)
	} else if err == nil {
		err = likeExample(examples[key], value)
	}
	switch {
	case err == nil:
		return nil
	case a.older != "":
		a.note("tekton.%s.%s = %q may be wrong, because %s: %v", path, key, value, a.older, err)
		return nil
	}
	return fmt.Errorf("tekton.%s.%s: %q means nothing to Tekton: %w", path, key, value, err)
}

// commented matches a key that the documentation in a ConfigMap has commented out.
var commented = lazyregexp.New(`(?m)^# ([a-z][a-z0-9]*(?:[-.][a-z0-9-]+)+):(?:\s*"?([^"#\n]*))?`)

// exampleValues returns the keys that a ConfigMap of a release has or documents, with a
// value that it shows.
func exampleValues(obj *unstructured.Unstructured) map[string]string {
	values := map[string]string{}
	data := installer.ConfigData(obj)
	text := data[declared.Example]
	for _, match := range commented.FindAllStringSubmatch(text, -1) {
		values[match[1]] = ""
	}
	var shown map[string]any
	if yaml.Unmarshal([]byte(text), &shown) == nil {
		for key, value := range shown {
			values[key] = ""
			if value != nil {
				values[key] = fmt.Sprint(value)
			}
		}
	}
	maps.Copy(values, data)
	delete(values, declared.Example)
	return values
}

// likeExample checks a value whose key only the release knows, not the parser: it must be
// a boolean, a number or a duration if the release's value is one.
func likeExample(example, value string) error {
	for _, kind := range []struct {
		name string
		is   func(string) error
	}{
		{"true or false", func(s string) error { return ignore(strconv.ParseBool(s)) }},
		{"a number", func(s string) error { return ignore(strconv.ParseFloat(s, 64)) }},
		{"a duration such as 1m", func(s string) error { return ignore(time.ParseDuration(s)) }},
	} {
		if kind.is(example) == nil {
			if kind.is(value) != nil {
				return fmt.Errorf("it must be %s, as the release's %q is", kind.name, example)
			}
			return nil
		}
	}
	return nil
}

func ignore[T any](_ T, err error) error { return err }

// The versions of Tekton's modules that the parsers come from, those of go.mod.
const (
	PipelineParsers = "v1.15.1"
	TriggersParsers = "v0.37.0"
)

// otherRelease explains why the parsers of this binary may not be those of a release. It is
// empty if the release has the same minor version, or none.
func otherRelease(v installer.Versions) string {
	for _, module := range []struct{ name, parsers, release string }{
		{"Tekton Pipelines", PipelineParsers, v.Pipeline},
		{"Tekton Triggers", TriggersParsers, v.Triggers},
	} {
		ours, err1 := semver.NewVersion(module.parsers)
		release, err2 := semver.NewVersion(module.release)
		if err1 == nil && err2 == nil && (ours.Major() != release.Major() || ours.Minor() != release.Minor()) {
			return fmt.Sprintf("this tekgate reads it as %s %s does, and %s is installed", module.name,
				module.parsers, module.release)
		}
	}
	return ""
}
