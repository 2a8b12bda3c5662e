package installer

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// afterTakeover returns what an object becomes when it is applied after a takeover, from what a
// dry run made of it without one. Earlier appliers own the server's defaults, too, so a second
// dry run fills these in again. Where the server refuses it, the defaults are missing.
func (c *Cluster) afterTakeover(
	ctx context.Context, current, tried *unstructured.Unstructured,
) *unstructured.Unstructured {
	after := withoutTaken(tried)
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	var patch []operation
	for key := range current.Object {
		if _, stays := after.Object[key]; !stays {
			patch = append(patch, operation{Op: "remove", Path: "/" + key})
		}
	}
	for key, value := range after.Object {
		switch key {
		case "apiVersion", "kind", "metadata", "status":
		default:
			patch = append(patch, operation{Op: "add", Path: "/" + key, Value: value})
		}
	}
	text, err := json.Marshal(patch)
	if err != nil || len(patch) == 0 {
		return after
	}
	filled := current.DeepCopy()
	err = c.client.Patch(ctx, filled, client.RawPatch(types.JSONPatchType, text), client.DryRunAll,
		client.FieldOwner(FieldManager))
	if err != nil {
		return after
	}
	filled.SetLabels(after.GetLabels())
	filled.SetAnnotations(after.GetAnnotations())
	return filled
}

// withoutTaken returns an object without the fields that only earlier appliers own. The server
// removes these when Tekgate has taken them over and does not apply them.
func withoutTaken(tried *unstructured.Unstructured) *unstructured.Unstructured {
	earlier, rest := fieldpath.NewSet(), fieldpath.NewSet()
	for _, entry := range tried.GetManagedFields() {
		set := fieldpath.NewSet()
		if entry.FieldsV1 == nil || entry.Subresource != "" ||
			set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
			continue
		}
		if takenFrom(entry) {
			earlier = earlier.Union(set)
		} else {
			rest = rest.Union(set)
		}
	}
	after := tried.DeepCopy()
	inner := innerPaths(earlier.Union(rest))
	var gone []fieldpath.Path
	earlier.Difference(rest).Iterate(func(p fieldpath.Path) { gone = append(gone, p.Copy()) })
	slices.SortStableFunc(gone, func(a, b fieldpath.Path) int { return len(b) - len(a) })
	for _, path := range gone {
		if path[0].FieldName != nil && *path[0].FieldName == "metadata" {
			continue // labels and annotations of the release are applied, and the others stay below
		}
		remove(after.Object, path, !inner[path.String()])
	}
	removeOwnedMetadata(after, gone)
	return after
}

// removeOwnedMetadata removes labels and annotations that only earlier appliers own.
func removeOwnedMetadata(obj *unstructured.Unstructured, gone []fieldpath.Path) {
	for _, path := range gone {
		if len(path) == 3 && path[0].FieldName != nil && *path[0].FieldName == "metadata" {
			remove(obj.Object, path, true)
		}
	}
	unstructured.RemoveNestedField(obj.Object, "metadata", "annotations", lastAppliedAnnotation)
}

// takenFrom reports whether an entry is one that takeover makes Tekgate's.
func takenFrom(entry metav1.ManagedFieldsEntry) bool {
	for _, a := range appliers {
		name := entry.Manager == a.Name || !a.ExactMatch && strings.HasPrefix(entry.Manager, a.Name)
		if name && entry.Operation == a.OperationType {
			return true
		}
	}
	return false
}

// innerPaths returns the paths that have others below them.
func innerPaths(set *fieldpath.Set) map[string]bool {
	inner := map[string]bool{}
	set.Iterate(func(path fieldpath.Path) {
		for n := 1; n < len(path); n++ {
			inner[path[:n].String()] = true
		}
	})
	return inner
}

// remove removes the value at a path, and everything above it that is empty then. Unless it is
// whole, a map or list is only removed if it is empty.
func remove(node any, path fieldpath.Path, whole bool) {
	type step struct {
		holder map[string]any
		key    string
		index  int // in a list at the key, or -1
	}
	var steps []step
	for i := 0; i < len(path); i++ {
		fields, ok := node.(map[string]any)
		if !ok || path[i].FieldName == nil {
			return
		}
		key := *path[i].FieldName
		child, ok := fields[key]
		if !ok {
			return
		}
		steps = append(steps, step{fields, key, -1})
		if i+1 < len(path) && path[i+1].FieldName == nil {
			i++
			items, _ := child.([]any)
			at := indexOf(items, path[i])
			if at < 0 {
				return
			}
			steps = append(steps, step{fields, key, at})
			child = items[at]
		}
		node = child
	}
	for n := len(steps) - 1; n >= 0; n-- {
		s := steps[n]
		items, _ := s.holder[s.key].([]any)
		target := s.holder[s.key]
		if s.index >= 0 {
			target = items[s.index]
		}
		if !empty(target) && (n < len(steps)-1 || !whole && container(target)) {
			return
		}
		if s.index >= 0 {
			s.holder[s.key] = slices.Delete(slices.Clone(items), s.index, s.index+1)
		} else {
			delete(s.holder, s.key)
		}
	}
}

func container(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// indexOf returns the element of a list that a path names by its keys, its value or its number,
// or -1.
func indexOf(items []any, element fieldpath.PathElement) int {
	if element.Index != nil && *element.Index < len(items) {
		return *element.Index
	}
	return slices.IndexFunc(items, func(item any) bool {
		if element.Value != nil {
			return value.Equals(*element.Value, value.NewValueInterface(item))
		}
		fields, ok := item.(map[string]any)
		if !ok || element.Key == nil {
			return false
		}
		return !slices.ContainsFunc(*element.Key, func(key value.Field) bool {
			// A key that is left out has its default, such as the protocol of a port.
			is, has := fields[key.Name]
			return has && !value.Equals(key.Value, value.NewValueInterface(is))
		})
	})
}
