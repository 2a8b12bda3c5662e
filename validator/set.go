package validator

import (
	"context"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// Set is a Cluster that consists of some objects, such as those of a folder.
//
// Of Tekton's kinds it knows all that there is: what is not in it does not exist,
// unless Elsewhere names it. Of all other kinds it knows what is in it and nothing
// else, since a ServiceAccount or a Secret seldom stands beside the pipelines that
// use it. An object that names no namespace is in whichever is asked about.
type Set struct {
	// Elsewhere names objects that exist though they are not in the set, by kind;
	// * stands for any characters.
	Elsewhere map[string][]string
	// Kustomized is whether kustomize may have made the objects, or may still do so.
	Kustomized bool

	objects  map[schema.GroupKind][]Subject
	bindings []binding             // of roles
	named    map[setName][]Subject // the same, in the same order
}

// setName is what an object is looked up by.
type setName struct {
	kind schema.GroupKind
	name string
}

// NewSet returns the set of some objects.
func NewSet(objects []Subject) *Set {
	s := &Set{objects: map[schema.GroupKind][]Subject{}, named: map[setName][]Subject{}}
	for _, o := range objects {
		if o.Fields != nil {
			o.Fields, _ = admission.Spelled(o.Kind, o.Fields)
		}
		kind := o.Kind.GroupKind()
		by := setName{kind, o.Name()}
		s.objects[kind], s.named[by] = append(s.objects[kind], o), append(s.named[by], o)
		if kind == roleBindings || kind == clusterRoleBindings {
			s.bindings = append(s.bindings, bindingOf(o))
		}
	}
	return s
}

// Names implements Cluster. Of kinds that are not Tekton's it returns the names that
// it has along with ErrUnknown, since there may be others.
func (s *Set) Names(_ context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	var names []string
	if kind.Kind == "ClusterInterceptor" {
		names = slices.Clone(walk.CoreInterceptors)
	}
	for _, o := range s.objects[kind] {
		if o.in(namespace) {
			names = append(names, o.Name())
		}
	}
	if kind.Group != rule.TektonGroup && kind.Group != rule.TriggersGroup {
		return names, rule.ErrUnknown
	}
	return names, nil
}

// Get implements Cluster.
func (s *Set) Get(_ context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	for _, o := range s.named[setName{kind, name}] {
		if o.in(namespace) {
			return o.spelled(), nil
		}
	}
	if (kind.Group != rule.TektonGroup && kind.Group != rule.TriggersGroup) ||
		s.IsElsewhere(kind.Kind, name) {
		return nil, rule.ErrUnknown
	}
	if kind.Kind == "ClusterInterceptor" && slices.Contains(walk.CoreInterceptors, name) {
		return nil, rule.ErrUnknown
	}
	return nil, nil
}

// IsElsewhere reports whether Elsewhere names an object.
func (s *Set) IsElsewhere(kind, name string) bool { return rule.MatchesAny(s.Elsewhere[kind], name) }

// View is a set as a file sees it: of several objects of one name it knows the nearest.
type View struct {
	*Set
	file string
}

// Near returns the set as a file sees it.
func (s *Set) Near(file string) *View { return &View{s, file} }

// Get implements Cluster. The nearest definition is that in the file itself, else the one with which the file
// has most folders in common, and of these the one that is the fewest folders further down. If several are
// as near, which one is meant is not known.
func (v *View) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	var near []Subject
	best := nearness{}
	for _, o := range v.named[setName{kind, name}] {
		if !o.in(namespace) {
			continue
		}
		switch n := nearnessOf(v.file, o.File); {
		case len(near) == 0 || n.before(best):
			near, best = []Subject{o}, n
		case n == best:
			near = append(near, o)
		}
	}
	switch {
	case len(near) == 0:
		return v.Set.Get(ctx, kind, namespace, name)
	case len(near) > 1 && v.file != "":
		return nil, rule.ErrUnknown
	}
	return near[0].spelled(), nil
}

// nearness is how near a file is to another.
type nearness struct {
	same   bool
	common int // folders that both are in
	below  int // folders from there down to the other file
}

func nearnessOf(file, other string) nearness {
	here, there := strings.Split(path.Dir(file), "/"), strings.Split(path.Dir(other), "/")
	n := nearness{same: file == other}
	for n.common < len(here) && n.common < len(there) && here[n.common] == there[n.common] {
		n.common++
	}
	n.below = len(there) - n.common
	return n
}

func (n nearness) before(other nearness) bool {
	switch {
	case n.same != other.same:
		return n.same
	case n.common != other.common:
		return n.common > other.common
	}
	return n.below < other.below
}

// spelled returns the fields of a member of a set.
func (s Subject) spelled() map[string]any {
	if s.isPacked() {
		return s.Packed.unpack().spelled
	}
	return s.Fields // see NewSet
}

func (s Subject) in(namespace string) bool {
	return namespace == "" || s.Namespace == "" || s.Namespace == namespace
}

// Keys implements Cluster. It knows the Secrets that are in the set.
func (s *Set) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	fields, err := s.Get(ctx, schema.GroupKind{Kind: "Secret"}, namespace, secret)
	if err != nil {
		return nil, err
	}
	var r object.Reader
	keys := []string{}
	for _, part := range []string{"data", "stringData"} {
		for key := range r.Fields(fields, part) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// All implements rule.Files.
func (s *Set) All(kind schema.GroupKind, namespace string) []map[string]any {
	var all []map[string]any
	for _, o := range s.objects[kind] {
		if o.in(namespace) {
			all = append(all, o.spelled())
		}
	}
	return all
}

// MayBeKustomized implements rule.Files.
func (s *Set) MayBeKustomized() bool { return s.Kustomized }

// Renamed implements rule.Files. A prefix ends with a dash or a dot, and a suffix begins with one.
func (s *Set) Renamed(kind schema.GroupKind, namespace, name string) string {
	if name == "" || s.IsElsewhere(kind.Kind, name) {
		return ""
	}
	best := ""
	for _, o := range s.objects[kind] {
		own := o.Name()
		if !o.in(namespace) || own == name {
			if own == name {
				return ""
			}
			continue
		}
		if (best == "" || len(own) < len(best)) && s.isRenamed(own, name) {
			best = own
		}
	}
	return best
}

// isRenamed reports whether a name of an object is another one with a prefix or suffix that is common in the set.
func (s *Set) isRenamed(own, name string) bool {
	const separators = "-."
	prefix, is := strings.CutSuffix(own, name)
	if is && strings.ContainsAny(prefix[max(0, len(prefix)-1):], separators) {
		return s.isCommon(own, func(other string) bool { return strings.HasPrefix(other, prefix) })
	}
	if suffix, is := strings.CutPrefix(own, name); is && strings.ContainsAny(suffix[:min(1, len(suffix))], separators) {
		return s.isCommon(own, func(other string) bool { return strings.HasSuffix(other, suffix) })
	}
	return false
}

// isCommon reports whether other objects than one are named such, and a third of all at least.
func (s *Set) isCommon(own string, is func(name string) bool) bool {
	all, others := 0, 0
	for by := range s.named {
		all++
		if by.name != own && is(by.name) {
			others++
		}
	}
	return others > 0 && 3*(others+1) >= all
}
