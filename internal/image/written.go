package image

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Written are rules in a form that can be written in another language: what is kept,
// and what goes where. All expressions are anchored regular expressions of RE2.
type Written struct {
	Keep  []string // of repositories that stay
	Rules []WrittenRule
}

// WrittenRule sends the repositories that match to the first target that applies.
type WrittenRule struct {
	Match   string
	Targets []WrittenTarget
	Drop    bool // whether digests are dropped
}

// WrittenTarget is a repository with placeholders, and optionally a tag.
type WrittenTarget struct {
	Repository string // with {host}, {path}, {name} and {dotted}
	Tag        string // "" keeps the image's
	Done       string // what the target leads to
}

// Write returns the rules, or why they cannot be written: they have overrides of
// single images, or targets that ask for more than host and path.
func (r *Rules) Write() (Written, error) {
	var out Written
	if len(r.overrides)+len(r.chosen) > 0 {
		return out, errors.New("mirror.images sends single images elsewhere")
	}
	for _, k := range r.keep {
		out.Keep = append(out.Keep, k.pattern.String())
	}
	for _, one := range r.rules {
		rule := WrittenRule{Match: one.pattern.String(), Drop: one.Digest == DigestDrop || one.Digest == DigestRelock}
		for _, t := range one.targets {
			written, err := t.write()
			if err != nil {
				return out, fmt.Errorf("%s: %w", one.source, err)
			}
			rule.Targets = append(rule.Targets, written)
		}
		out.Rules = append(out.Rules, rule)
	}
	return out, nil
}

// FormerPlaces returns expressions of the repositories that former mirrors lead to. What
// maps such a name back cannot be written.
func (r *Rules) FormerPlaces() []string {
	var all []string
	for _, f := range r.formers {
		all = append(all, f.rules.places()...)
	}
	return all
}

// places returns expressions of the repositories that the rules lead to.
func (r *Rules) places() []string {
	var all []string
	for _, o := range r.overrides {
		if o.to.Repository() == o.key.Repository() {
			continue // it is a name upstream
		}
		all = append(all, "^"+regexp.QuoteMeta(o.to.Repository())+"$")
	}
	for _, one := range r.rules {
		for _, t := range one.targets {
			all = append(all, t.done.String())
		}
	}
	return all
}

// ofRepository are the placeholders that host and path have a value for.
var ofRepository = []string{"{host}", "{path}", "{name}", "{dotted}"}

func (t target) write() (WrittenTarget, error) {
	repository, tag := splitTag(t.template)
	for _, p := range inBraces.FindAllString(t.template, -1) {
		if !slices.Contains(ofRepository, p) || strings.Contains(tag, p) {
			return WrittenTarget{}, fmt.Errorf("its target %s asks for more of an image than host and path", t.template)
		}
	}
	if strings.Contains(tag, "@") {
		return WrittenTarget{}, fmt.Errorf("its target %s has a digest", t.template)
	}
	if host, path, _ := strings.Cut(repository, "/"); (host == "docker.io" || host == "index.docker.io") &&
		!strings.Contains(path, "/") {
		return WrittenTarget{}, fmt.Errorf("its target %s is a short name of Docker Hub", t.template)
	}
	return WrittenTarget{Repository: repository, Tag: strings.TrimPrefix(tag, ":"), Done: t.done.String()}, nil
}
