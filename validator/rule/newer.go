package rule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
)

// KnownReleases are the releases of Tekton by whose code rules judge, by API group.
var KnownReleases = map[string]string{TektonGroup: "v1.15.1", TriggersGroup: "v0.37.0"}

// Newer is a release of Tekton that is installed and newer than the one by whose code rules judge. What it adds
// is judged by the schemas of its CustomResourceDefinitions alone: they tell which fields exist.
//
// The schemas are walked as the API server prunes by them; a library for that is not linked, since no value is
// validated.
type Newer struct {
	Version string // such as v1.17.0
	// Schemas are the OpenAPI schemas of all kinds and versions that are served. Nil means that they could not be
	// read.
	Schemas map[schema.GroupVersionKind]map[string]any
}

// IsNewer reports whether a release is of a later minor version than the one by whose code rules judge. A release
// that is not known as a version is not.
func IsNewer(group, release string) bool {
	known, err := semver.NewVersion(KnownReleases[group])
	if err != nil {
		return false
	}
	other, err := semver.NewVersion(release)
	if err != nil || other.Major() != known.Major() {
		return err == nil && other.Major() > known.Major()
	}
	return other.Minor() > known.Minor()
}

// FieldStatus says what a schema knows of a field.
type FieldStatus int

// What may be known of a field.
const (
	FieldAbsent   FieldStatus = iota // the API server removes or refuses it
	FieldDeclared                    // the schema has it
	FieldKept                        // the schema keeps any field there
	FieldUnknown                     // the schema could not be read
)

// Field returns what is known of a field at a path, such as spec.steps[0].cache.
func (n *Newer) Field(kind schema.GroupVersionKind, path string) FieldStatus {
	if n.Schemas == nil {
		return FieldUnknown
	}
	var r object.Reader
	node, known := n.Schemas[kind]
	if !known {
		return FieldAbsent
	}
	for _, step := range document.ParsePath(path) {
		next, status := below(&r, node, step)
		if next == nil {
			return status
		}
		node = next
	}
	return FieldDeclared
}

// Absent returns the paths of the fields in a value at a path that the schema does not have; none where it could
// not be read.
func (n *Newer) Absent(kind schema.GroupVersionKind, path string, value any) []string {
	switch n.Field(kind, path) {
	case FieldAbsent:
		return []string{path}
	case FieldKept, FieldUnknown:
		return nil
	}
	var found []string
	switch v := value.(type) {
	case map[string]any:
		for _, key := range SortedKeys(v) {
			found = append(found, n.Absent(kind, Join(path, key), v[key])...)
		}
	case []any:
		for i, item := range v {
			found = append(found, n.Absent(kind, fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	}
	return found
}

// below returns the schema of a field or item, or, where there is none of its own, what becomes of it.
func below(r *object.Reader, node map[string]any, step string) (map[string]any, FieldStatus) {
	if _, err := strconv.Atoi(step); err == nil {
		if items := r.Fields(node, "items"); items != nil {
			return items, FieldDeclared
		}
	}
	if field, is := r.Fields(node, "properties")[step].(map[string]any); is {
		return field, FieldDeclared
	}
	switch more := node["additionalProperties"].(type) {
	case map[string]any:
		return more, FieldDeclared
	case bool:
		if more {
			return nil, FieldKept
		}
	}
	if keeps, _ := node["x-kubernetes-preserve-unknown-fields"].(bool); keeps {
		return nil, FieldKept
	}
	return nil, FieldAbsent
}

// Newer returns the release of the object's API group, if it is newer than what the rules know; nil otherwise.
func (p *Pass) Newer() *Newer { return p.Releases[p.Kind.Group] }

// Minor is a release without its patch, such as v1.17.
func Minor(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}
