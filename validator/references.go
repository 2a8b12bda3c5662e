package validator

import (
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/sources"
)

type (
	// RemoteReference is a reference to what a resolver fetches.
	RemoteReference = sources.Reference
	// Resolved is what a reference leads to.
	Resolved = rule.Resolved
)

// RemoteReferences returns the references of an object to what resolvers fetch, those in the objects that it creates
// too. Params are what a Task or Pipeline is known to be given; what is not is left as $(…), unless it has a
// default.
func RemoteReferences(subject Subject, params []map[string]any) []RemoteReference {
	fields := subject.unpack().spelled
	pass := &rule.Pass{Object: fields, Kind: subject.Kind, Namespace: subject.Namespace, Cluster: rule.Nowhere{}}
	found := sources.ReferencesIn(pass, params)
	for _, inner := range embedded(pass) {
		for _, r := range sources.ReferencesIn(inner, nil) {
			r.Path = inner.Absolute(r.Path)
			found = append(found, r)
		}
	}
	return found
}
