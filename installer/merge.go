package installer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
)

// Merge says what becomes of one key of a ConfigMap in an upgrade.
type Merge struct {
	ConfigMap string `json:"configMap"`
	Key       string `json:"key"`
	// Outcome is kept (the user's), changed (by the release), removed (by it) or declared
	// (by the configuration, in place of the user's).
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
	// KeyDeclared is a key whose value the configuration decides, and not the user's edit.
	KeyDeclared = "declared"
)

// exampleKey is documentation that Tekton's webhook compares with a checksum in
// an annotation of the same release, so an edited one would be refused.
const exampleKey = "_example"

// mergeData merges the data of a ConfigMap three ways: what the user changed
// since the release that is installed stays, everything else becomes the new
// release's. bases are the releases that the live values may have come from.
func mergeData(bases []map[string]string, current, next map[string]string) (merged map[string]string, merges []Merge) {
	merged = maps.Clone(next)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, key := range keysOf(append([]map[string]string{current, next}, bases...)...) {
		is, becomes := lookUp(current, key), lookUp(next, key)
		if key == exampleKey || same(is, becomes) {
			continue
		}
		m := Merge{Key: key, Value: becomes, Other: is, Outcome: KeyChanged}
		switch {
		case !fromRelease(bases, key, is):
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

// EditedKeys returns the keys of a ConfigMap whose value, or absence, is in none of the
// releases that it may have come from.
func EditedKeys(current map[string]string, bases []map[string]string) []string {
	var edited []string
	for _, key := range keysOf(append([]map[string]string{current}, bases...)...) {
		if key != exampleKey && !fromRelease(bases, key, lookUp(current, key)) {
			edited = append(edited, key)
		}
	}
	return edited
}

// fromRelease reports whether one of the releases has this value of a key, or lacks the
// key if value is nil.
func fromRelease(bases []map[string]string, key string, value *string) bool {
	return slices.ContainsFunc(bases, func(base map[string]string) bool { return same(lookUp(base, key), value) })
}

// keysOf returns the keys of all maps, sorted.
func keysOf(all ...map[string]string) []string {
	keys := map[string]bool{}
	for _, data := range all {
		for key := range data {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// mergeConfigMap returns next with what the user changed in live, except the declared keys.
func mergeConfigMap(
	next, current *unstructured.Unstructured,
	bases []map[string]string,
	declared []string,
) (*unstructured.Unstructured, []Merge) {
	merged, merges := mergeData(bases, ConfigData(current), ConfigData(next))
	for i := range merges {
		merges[i].ConfigMap = next.GetNamespace() + "/" + next.GetName()
	}
	result := next.DeepCopy()
	if len(merged) == 0 {
		unstructured.RemoveNestedField(result.Object, "data")
		return result, merges
	}
	_ = unstructured.SetNestedStringMap(result.Object, merged, "data")
	return result, overrule(next, result, merges, declared)
}

// mergeBases returns what a live ConfigMap may have been made from, by the best
// witness there is: the inventory; the compiled-in release of the version that runs and the
// manifests that the user names, see Plan.adopt; what kubectl noted when it applied it; the new
// release, where it has the same version; and last the field managers, of which those that edit a
// single field are people.
func mergeBases(
	next, current *unstructured.Unstructured,
	inventory *Inventory,
	previous []*unstructured.Unstructured,
) []map[string]string {
	var bases []map[string]string
	var known []*unstructured.Unstructured
	if inventory != nil {
		known = slices.Concat(inventory.Objects, inventory.Attempted)
	}
	for _, obj := range append(known, previous...) {
		if kube.Identity(obj) == kube.Identity(next) {
			bases = append(bases, ConfigData(obj))
		}
	}
	if len(bases) > 0 {
		return bases
	}
	if applied := lastApplied(current); applied != nil {
		return []map[string]string{ConfigData(applied)}
	}
	if v := VersionsOf([]*unstructured.Unstructured{next}); !v.IsZero() &&
		v.Equal(VersionsOf([]*unstructured.Unstructured{current})) {
		return []map[string]string{ConfigData(next)}
	}
	return []map[string]string{unedited(current)}
}

func lastApplied(current *unstructured.Unstructured) *unstructured.Unstructured {
	text := current.GetAnnotations()[lastAppliedAnnotation]
	obj := &unstructured.Unstructured{}
	if text == "" || json.Unmarshal([]byte(text), &obj.Object) != nil {
		return nil
	}
	return obj
}

// editors begin the names of field managers under which people change objects.
var editors = []string{
	"kubectl-edit",
	"kubectl-patch",
	"kubectl-replace",
	"kubectl-set",
	"kubectl-annotate",
	"Mozilla",
	"dashboard",
	"k9s",
	"Lens",
	"headlamp",
}

// unedited returns a ConfigMap's data without what people edited.
func unedited(current *unstructured.Unstructured) map[string]string {
	data := maps.Clone(ConfigData(current))
	for _, entry := range current.GetManagedFields() {
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
