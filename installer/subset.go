package installer

import (
	"reflect"
)

// isLive reports whether the cluster has every field of what is to be applied, so that no
// write is needed. It decides where a webhook's server does not answer, which keeps the API
// server from deciding.
func (ch *Change) isLive() bool {
	if ch.Live == nil || ch.takeover != nil {
		return false
	}
	for field, value := range ch.Desired.Object {
		switch field {
		case "metadata", "status", "apiVersion", "kind":
		default:
			if !within(value, ch.Live.Object[field]) {
				return false
			}
		}
	}
	return withinStrings(ch.Desired.GetLabels(), ch.Live.GetLabels()) &&
		withinStrings(ch.Desired.GetAnnotations(), ch.Live.GetAnnotations())
}

func withinStrings(part, whole map[string]string) bool {
	for key, value := range part {
		if whole[key] != value {
			return false
		}
	}
	return true
}

// within reports whether whole has every field of part. Lists must have the same length.
func within(part, whole any) bool {
	switch part := part.(type) {
	case nil:
		return true
	case map[string]any:
		fields, _ := whole.(map[string]any)
		for key, value := range part {
			if !within(value, fields[key]) {
				return false
			}
		}
		return true
	case []any:
		items, _ := whole.([]any)
		if len(items) != len(part) {
			return false
		}
		for i := range part {
			if !within(part[i], items[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(part, whole)
}
