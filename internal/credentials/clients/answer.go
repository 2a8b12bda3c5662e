package clients

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

// Image is an image whose credentials a client looks for.
type Image struct {
	written string
	named   reference.Named
}

// ParseImage reads a reference as Kubernetes and Docker do.
func ParseImage(written string) (Image, error) {
	named, err := reference.ParseNormalizedNamed(written)
	return Image{written: written, named: named}, err
}

// Repository returns the image's host and repository, such as docker.io/library/alpine.
func (i Image) Repository() string { return i.named.Name() }

// Host returns the image's registry, such as docker.io.
func (i Image) Host() string {
	host, _, _ := strings.Cut(i.Repository(), "/") // reference.Domain is empty for a host with an underscore
	return host
}

// googleRepository is the repository as go-containerregistry spells it: Docker Hub is
// index.docker.io.
func (i Image) googleRepository() (name.Repository, error) {
	ref, err := name.ParseReference(i.written, name.WeakValidation)
	if err != nil {
		return name.Repository{}, err
	}
	return ref.Context(), nil
}

// Sent is one credential that a client sends, or the absence of one.
type Sent struct {
	// Key is that of the entry in the Docker configuration.
	Key      string
	Username string
	// Fails is why the client ends with an error before it sends anything.
	Fails string

	password, identity, registry string
}

// Anonymous reports whether nothing is sent.
func (s Sent) Anonymous() bool {
	return s.Fails == "" && s.Username == "" && s.password == "" && s.identity == "" && s.registry == ""
}

// Token reports whether a token is sent in place of a password.
func (s Sent) Token() bool { return s.identity != "" || s.registry != "" }

// Bare reports whether a user is sent without a password.
func (s Sent) Bare() bool { return s.Username != "" && s.password == "" && !s.Token() }

// text is the form that e2e/clients prints.
func (s Sent) text() string {
	switch {
	case s.Fails != "":
		return "error"
	case s.Anonymous():
		return "anonymous"
	}
	text := ""
	if s.Username != "" || s.password != "" {
		text = s.Username + ":" + s.password
	}
	for _, token := range []string{s.identity, s.registry} {
		if token != "" {
			text += "+" + token
		}
	}
	return text
}

// Answer is what a client sends for an image: the steps in their order. Each step has one
// credential, or several of which the client takes one, or all, at random.
type Answer struct {
	Steps [][]Sent
	// All means that the client sends all of a step's credentials, in random order, and goes on
	// to the next until the registry accepts one. Without it there is one step, and the client
	// sends one of its credentials.
	All bool
}

// one returns the answer of a client that sends one of the alternatives.
func one(alternatives []Sent) Answer {
	var distinct []Sent
	for _, s := range alternatives {
		if !slices.Contains(distinct, s) {
			distinct = append(distinct, s)
		}
	}
	if len(distinct) == 0 {
		distinct = []Sent{{}}
	}
	return Answer{Steps: [][]Sent{distinct}}
}

// badReference is why go-containerregistry fails before it reads credentials.
const badReference = "go-containerregistry does not accept this reference"

func failure(why string) Answer { return one([]Sent{{Fails: why}}) }

// Random reports whether the answer differs from time to time.
func (a Answer) Random() bool {
	return slices.ContainsFunc(a.Steps, func(step []Sent) bool { return len(step) > 1 })
}

// Sends returns all credentials that may be sent, in order.
func (a Answer) Sends() []Sent { return slices.Concat(a.Steps...) }

// texts returns every possible answer in the form of e2e/clients.
func (a Answer) texts() []string {
	texts := []string{""}
	for _, step := range a.Steps {
		choices := [][]Sent{}
		if a.All {
			choices = permutations(step)
		} else {
			for _, s := range step {
				choices = append(choices, []Sent{s})
			}
		}
		var next []string
		for _, begun := range texts {
			for _, choice := range choices {
				all := begun
				for _, s := range choice {
					all = strings.TrimPrefix(all+" "+s.text(), " ")
				}
				next = append(next, all)
			}
		}
		texts = next
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func permutations[T any](list []T) [][]T {
	if len(list) <= 1 {
		return [][]T{list}
	}
	var all [][]T
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]T{list[i]}, p...))
		}
	}
	return all
}
