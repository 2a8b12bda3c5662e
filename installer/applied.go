package installer

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// isApplied reports whether applying an object would change nothing, without asking the server:
// what it says Tekgate owns of the object (managedFields) has, field by field, the values that are to
// be applied, and there is no other field. An apply of the same values by the same manager leaves an
// object as it is (https://kubernetes.io/docs/reference/using-api/server-side-apply/). Where that is
// not certain, the answer is false, and the server is asked: a quantity in another form, a list in
// another order, a field that the server drops. A second install thus asks for a few objects only.
func (ch *Change) isApplied() bool {
	if ch.Live == nil || ch.takeover != nil || ch.Live.GetAPIVersion() != ch.Desired.GetAPIVersion() {
		return false
	}
	fields := ownFields(ch.Live)
	if fields == nil {
		return false
	}
	return isOwned(fields, withoutIdentity(ch.Desired), ch.Live.Object)
}

// ownFields returns the fields that Tekgate has applied, in the form of
// https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#FieldsV1; nil if there are none.
func ownFields(live *unstructured.Unstructured) map[string]any {
	entries, _, _ := unstructured.NestedFieldNoCopy(live.Object, "metadata", "managedFields")
	list, _ := entries.([]any)
	for _, entry := range list {
		e, _ := entry.(map[string]any)
		subresource, _ := e["subresource"].(string)
		if e["manager"] == FieldManager && e["operation"] == string(metav1.ManagedFieldsOperationApply) &&
			subresource == "" && e["apiVersion"] == live.GetAPIVersion() {
			fields, _ := e["fieldsV1"].(map[string]any)
			return fields
		}
	}
	return nil
}

// withoutIdentity returns an object without what managedFields never lists.
func withoutIdentity(obj *unstructured.Unstructured) map[string]any {
	content := maps.Clone(obj.Object)
	delete(content, "apiVersion")
	delete(content, "kind")
	metadata, _ := content["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	for _, field := range []string{"name", "namespace", "managedFields"} {
		delete(metadata, field)
	}
	if content["metadata"] = metadata; len(metadata) == 0 {
		delete(content, "metadata")
	}
	return content
}

// isOwned reports whether fields name exactly what is wanted, and the live value has the same there.
func isOwned(fields map[string]any, want, live any) bool {
	if len(fields) == 0 { // a leaf, or a value that has one owner as a whole
		return reflect.DeepEqual(want, live) || isEmpty(want) && live == nil
	}
	switch want := want.(type) {
	case map[string]any:
		live, _ := live.(map[string]any)
		return ownsMap(fields, want, live)
	case []any:
		live, _ := live.([]any)
		return ownsList(fields, want, live)
	}
	return false
}

// isEmpty reports whether a value is one that the server may leave out although it has an owner,
// such as `args: []` or `preserveUnknownFields: false`.
func isEmpty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value != nil && reflect.ValueOf(value).IsZero()
}

// self stands for the map or list itself among the fields within it.
const self = "."

func ownsMap(fields, want, live map[string]any) bool {
	owned := 0
	for key, below := range fields {
		if key == self {
			continue
		}
		name, named := strings.CutPrefix(key, "f:")
		value, wanted := want[name]
		if !named || !wanted || !isOwned(fieldsIn(below), value, defaulted(name, value, live[name])) {
			return false
		}
		owned++
	}
	return owned == len(want)
}

func fieldsIn(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}

// defaulted returns a live value without what the server adds to a value that has one owner as a
// whole: the apiVersion of a fieldRef, which Tekton's manifests leave out.
func defaulted(name string, want, live any) any {
	field, _ := live.(map[string]any)
	wanted, _ := want.(map[string]any)
	if _, written := wanted["apiVersion"]; name != "fieldRef" || written || field["apiVersion"] != "v1" {
		return live
	}
	field = maps.Clone(field)
	delete(field, "apiVersion")
	return field
}

// ownsList is isOwned for a list whose elements have owners. Theirs is the order of the live list.
func ownsList(fields map[string]any, want, live []any) bool {
	owned := make([]map[string]any, len(live))
	count := 0
	for key, below := range fields {
		if key == self {
			continue
		}
		at := slices.IndexFunc(live, matcher(key))
		if at < 0 {
			return false
		}
		owned[at] = fieldsIn(below)
		count++
	}
	if count != len(want) {
		return false
	}
	for i, item := range live {
		if owned[i] == nil {
			continue
		}
		if len(want) == 0 || !isOwned(owned[i], want[0], item) {
			return false
		}
		want = want[1:]
	}
	return len(want) == 0
}

// matcher returns what recognises the element of a list that a key names: by the values of some
// fields, as in k:{"name":"a"}, or by its own value, as in v:"a". It recognises none by i:, an index.
func matcher(key string) func(item any) bool {
	form, text, _ := strings.Cut(key, ":")
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return func(any) bool { return false }
	}
	keys, _ := value.(map[string]any)
	return func(item any) bool {
		if form == "v" {
			return sameKey(value, item)
		}
		fields, _ := item.(map[string]any)
		for name, value := range keys {
			if !sameKey(value, fields[name]) {
				return false
			}
		}
		return form == "k" && len(keys) > 0
	}
}

// sameKey compares a value of a key with one of an object, whose whole numbers have another type.
func sameKey(want, is any) bool {
	if number, ok := want.(float64); ok {
		whole, ok := is.(int64)
		return ok && float64(whole) == number
	}
	return reflect.DeepEqual(want, is)
}
