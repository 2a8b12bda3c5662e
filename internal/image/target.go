package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Placeholder is what a target may ask of an image.
type Placeholder struct {
	// Name stands in braces in a target.
	Name string
	// Doc says what takes its place.
	Doc string

	// example makes any right target a right reference.
	example string
	// within says that values never hold a slash.
	within bool
	value  func(Reference) string
}

// Placeholders are all that a target may hold.
var Placeholders = []Placeholder{
	{"{host}", "the image's host", "example.com", true, func(r Reference) string { return r.Host }},
	{"{path}", "its path", "a/b", false, func(r Reference) string { return r.Path }},
	{"{name}", "the last element of its path", "b", true, Reference.name},
	{"{dotted}", "host and path with dots for slashes", "example.com.a.b", true, func(r Reference) string {
		return strings.ReplaceAll(r.Repository(), "/", ".")
	}},
	{
		"{component}",
		"which part of Tekton it belongs to, such as `pipeline`",
		"pipeline",
		true,
		func(r Reference) string {
			return r.tekton(func(component, _ string) string { return component })
		},
	},
	{
		"{binary}",
		"which program of Tekton it holds, such as `entrypoint`",
		"controller",
		true,
		func(r Reference) string {
			return r.tekton(func(_, binary string) string { return binary })
		},
	},
	{"{tag}", "its tag", "v1", true, func(r Reference) string { return r.Tag }},
	{"{digest}", "the hexadecimal part of its digest", "0a", true, func(r Reference) string {
		_, hex, _ := strings.Cut(r.Digest, ":")
		return hex
	}},
}

var inBraces = lazyregexp.New(`\{[^}]*\}?`)

// target is a template that was found right.
type target struct {
	template string
	// tagged says that the template chooses the tag or digest.
	tagged bool
	// same says that the tag it chooses is made of the image's digest, so that
	// the digest still belongs to it.
	same bool
	// done matches the repositories that the template leads to.
	done *regexp.Regexp
	// parts does so, too, and has a group for each placeholder; holds are their names.
	parts *regexp.Regexp
	holds []string
	// apart says that a slash stands between the first two.
	apart bool
}

// compileTarget checks a template.
func compileTarget(template string) (target, error) {
	for _, p := range inBraces.FindAllString(template, -1) {
		if _, known := placeholderFor(p); !known {
			return target{}, fmt.Errorf(
				"template %q: placeholder %s is not known: there are %s",
				template,
				p,
				strings.Join(placeholderNames(), ", "),
			)
		}
	}
	example := inBraces.ReplaceAllStringFunc(template, func(name string) string {
		p, _ := placeholderFor(name)
		return p.example
	})
	if strings.Contains(template, "@sha256:{digest}") {
		example = strings.Replace(example, "@sha256:0a", "@sha256:"+strings.Repeat("0a", 32), 1)
	}
	ref, err := Parse(example)
	if err != nil {
		return target{}, fmt.Errorf("template %q gives no image reference: %w", template, err)
	}
	if host, _, _ := strings.Cut(example, "/"); host != ref.Host {
		return target{}, fmt.Errorf(
			"template %q has to begin with the mirror's host, such as %q",
			template,
			ref.Host+"/"+template,
		)
	}
	repository, suffix := splitTag(template)
	t := target{template: template, tagged: suffix != "", same: strings.Contains(suffix, "{digest}")}
	t.done = regexp.MustCompile("^" + shape(repository, "%s") + "$")
	t.parts = regexp.MustCompile("^" + shape(repository, "(%s)") + "$")
	t.holds = inBraces.FindAllString(repository, -1)
	if between := inBraces.Split(repository, 3); len(t.holds) > 1 {
		t.apart = strings.Contains(between[1], "/")
	}
	return t, nil
}

// shape is the regular expression of what a template of a repository gives. Group is the
// format of a placeholder's expression.
func shape(repository, group string) string {
	var expr strings.Builder
	at := 0
	for _, span := range inBraces.FindAllStringIndex(repository, -1) {
		expr.WriteString(regexp.QuoteMeta(repository[at:span[0]]))
		p, _ := placeholderFor(repository[span[0]:span[1]])
		value := `.+`
		if p.within {
			value = `[^/]+`
		}
		fmt.Fprintf(&expr, group, value)
		at = span[1]
	}
	expr.WriteString(regexp.QuoteMeta(repository[at:]))
	return expr.String()
}

// splitTag cuts a template before its tag or digest.
func splitTag(template string) (repository, tag string) {
	last := strings.LastIndex(template, "/") + 1
	if i := strings.IndexAny(template[last:], ":@"); i >= 0 {
		return template[:last+i], template[last+i:]
	}
	return template, ""
}

// fill puts an image's values into the template. ok is false when one is
// missing, or when what comes of it is no image that this target would know
// again as its own: "{host}/x" with a host that has a port, for example.
func (t target) fill(ref Reference) (to Reference, ok bool) {
	ok = true
	filled := inBraces.ReplaceAllStringFunc(t.template, func(name string) string {
		p, _ := placeholderFor(name)
		value := p.value(ref)
		ok = ok && value != ""
		return value
	})
	if !ok {
		return Reference{}, false
	}
	to, err := Parse(filled)
	return to, err == nil && t.done.MatchString(to.Repository())
}

// tekton returns one of component and binary, and nothing for other images.
func (r Reference) tekton(pick func(component, binary string) string) string {
	component, binary, ok := r.Tekton()
	if !ok {
		return ""
	}
	return pick(component, binary)
}

func placeholderFor(name string) (Placeholder, bool) {
	for _, p := range Placeholders {
		if p.Name == name {
			return p, true
		}
	}
	return Placeholder{}, false
}

func placeholderNames() []string {
	names := make([]string, 0, len(Placeholders))
	for _, p := range Placeholders {
		names = append(names, p.Name)
	}
	return names
}
