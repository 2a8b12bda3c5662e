package installer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Merge says what becomes of one key of a ConfigMap in an upgrade.
type Merge struct {
	ConfigMap string `json:"configMap"`
	Key       string `json:"key"`
	// Outcome is kept (the user's), changed (by the release) or removed (by it).
	Outcome string `json:"outcome"`
	// Value is what the key holds from then on, and Other what it does not: the
	// release's where the user's is kept, otherwise what it held before. nil is
	// a key that is not there.
	Value *string `json:"value,omitempty"`
	Other *string `json:"other,omitempty"`
}

// What Merge.Outcome may say.
const (
	KeyKept    = "kept"
	KeyChanged = "changed"
	KeyRemoved = "removed"
)

// exampleKey is documentation that Tekton's webhook compares with a checksum in
// an annotation of the same release, so an edited one would be refused.
const exampleKey = "_example"

// mergeData merges the data of a ConfigMap three ways: what the user changed
// since the release that is installed stays, everything else becomes the new
// release's. bases are the releases that the live values may have come from.
func mergeData(bases []map[string]string, live, next map[string]string) (merged map[string]string, merges []Merge) {
	merged = maps.Clone(next)
	if merged == nil {
		merged = map[string]string{}
	}
	keys := map[string]bool{}
	for _, data := range append([]map[string]string{live, next}, bases...) {
		for key := range data {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		is, becomes := lookUp(live, key), lookUp(next, key)
		if key == exampleKey || same(is, becomes) {
			continue
		}
		m := Merge{Key: key, Value: becomes, Other: is, Outcome: KeyChanged}
		switch {
		case !slices.ContainsFunc(bases, func(base map[string]string) bool { return same(lookUp(base, key), is) }):
			m.Outcome, m.Value, m.Other = KeyKept, is, becomes
		case becomes == nil:
			m.Outcome = KeyRemoved
		case is == nil:
			// A key that is new in this release is not worth a word.
			continue
		}
		merges = append(merges, m)
		set(merged, key, m.Value)
	}
	return merged, merges
}

func lookUp(data map[string]string, key string) *string {
	if value, ok := data[key]; ok {
		return &value
	}
	return nil
}

func same(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func set(data map[string]string, key string, value *string) {
	if value == nil {
		delete(data, key)
		return
	}
	data[key] = *value
}

// mergeConfigMap returns next with what the user changed in live.
func mergeConfigMap(next, live *unstructured.Unstructured, bases []map[string]string) (*unstructured.Unstructured, []Merge) {
	merged, merges := mergeData(bases, configData(live), configData(next))
	for i := range merges {
		merges[i].ConfigMap = next.GetNamespace() + "/" + next.GetName()
	}
	result := next.DeepCopy()
	if len(merged) == 0 {
		unstructured.RemoveNestedField(result.Object, "data")
		return result, merges
	}
	_ = unstructured.SetNestedStringMap(result.Object, merged, "data")
	return result, merges
}

func configData(obj *unstructured.Unstructured) map[string]string {
	data, _, _ := unstructured.NestedStringMap(obj.Object, "data")
	return data
}

// mergeBases returns what a live ConfigMap may have been made from, by the best
// witness there is: the inventory; the manifests that the user names; what
// kubectl noted when it applied it; the new release, where it has the same
// version; and last the field managers, of which those that edit a single
// field are people.
func mergeBases(next, live *unstructured.Unstructured, inventory *Inventory, previous []*unstructured.Unstructured) []map[string]string {
	var bases []map[string]string
	var known []*unstructured.Unstructured
	if inventory != nil {
		known = slices.Concat(inventory.Objects, inventory.Attempted)
	}
	for _, obj := range append(known, previous...) {
		if identity(obj) == identity(next) {
			bases = append(bases, configData(obj))
		}
	}
	if len(bases) > 0 {
		return bases
	}
	if applied := lastApplied(live); applied != nil {
		return []map[string]string{configData(applied)}
	}
	if v := VersionsOf([]*unstructured.Unstructured{next}); v != (Versions{}) && v == VersionsOf([]*unstructured.Unstructured{live}) {
		return []map[string]string{configData(next)}
	}
	return []map[string]string{unedited(live)}
}

func lastApplied(live *unstructured.Unstructured) *unstructured.Unstructured {
	text := live.GetAnnotations()[lastAppliedAnnotation]
	obj := &unstructured.Unstructured{}
	if text == "" || json.Unmarshal([]byte(text), &obj.Object) != nil {
		return nil
	}
	return obj
}

// editors begin the names of field managers under which people change objects.
var editors = []string{"kubectl-edit", "kubectl-patch", "kubectl-replace", "kubectl-set", "kubectl-annotate", "Mozilla", "dashboard", "k9s", "Lens", "headlamp"}

// unedited returns a ConfigMap's data without what people edited.
func unedited(live *unstructured.Unstructured) map[string]string {
	data := maps.Clone(configData(live))
	for _, entry := range live.GetManagedFields() {
		byHand := entry.Operation == metav1.ManagedFieldsOperationUpdate &&
			slices.ContainsFunc(editors, func(e string) bool { return strings.HasPrefix(entry.Manager, e) })
		if !byHand || entry.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Data map[string]any `json:"f:data"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for field := range fields.Data {
			delete(data, strings.TrimPrefix(field, "f:"))
		}
	}
	return data
}
