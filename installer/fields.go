package installer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// leaves are the values of an object by their paths, such as
// spec.template.spec.containers[controller].env[A].value. Elements of a list are named by
// their names, so that they are found in another version of the object; arguments by their
// flags. A list whose elements have no names is one value.
type leaves map[string]string

// leavesOf returns the fields of an object that a user may have changed: the labels, the
// annotations, and everything else without what the server writes.
func leavesOf(obj *unstructured.Unstructured) leaves {
	found := leaves{}
	if obj == nil {
		return found
	}
	for key, value := range obj.Object {
		switch key {
		case "apiVersion", "kind", "status", "metadata":
		default:
			found.add(key, value)
		}
	}
	for key, value := range obj.GetLabels() {
		found.add("metadata.labels["+key+"]", value)
	}
	for key, value := range obj.GetAnnotations() {
		found.add("metadata.annotations["+key+"]", value)
	}
	return found
}

// keyed are maps whose keys are not names of fields.
var keyed = []string{"nodeSelector", "labels", "annotations", "matchLabels", "limits", "requests", "data"}

func (l leaves) add(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		last := path[strings.LastIndexByte(path, '.')+1:]
		for key, item := range v {
			at := path + "." + key
			if slices.Contains(keyed, last) {
				at = path + "[" + key + "]"
			}
			l.add(at, item)
		}
	case []any:
		l.list(path, v)
	case nil:
	default:
		l[path] = fmt.Sprint(v)
	}
}

func (l leaves) list(path string, items []any) {
	if strings.HasSuffix(path, ".args") {
		l.arguments(path, items)
		return
	}
	named := make([]string, len(items))
	for i, item := range items {
		m, _ := item.(map[string]any)
		named[i], _ = m["name"].(string)
	}
	if len(items) == 0 {
		return
	}
	if slices.Contains(named, "") {
		text, _ := json.Marshal(items) // of decoded JSON, so it never fails
		l[path] = string(text)
		return
	}
	for i, item := range items {
		l.add(path+"["+named[i]+"]", item)
	}
}

// arguments adds the arguments of a container: a flag by its name, in both forms, and
// everything else by its number.
func (l leaves) arguments(path string, items []any) {
	for i := 0; i < len(items); i++ {
		word := fmt.Sprint(items[i])
		flag, value, joined := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "-") {
			l[path+"["+strconv.Itoa(i)+"]"] = word
			continue
		}
		if !joined && i+1 < len(items) {
			if next := fmt.Sprint(items[i+1]); !strings.HasPrefix(next, "-") {
				value = next
				i++
			}
		}
		l[path+"[-"+strings.TrimLeft(flag, "-")+"]"] = value
	}
}

// has reports whether there is a value at a path or below it.
func (l leaves) has(path string) bool {
	if _, ok := l[path]; ok {
		return true
	}
	for at := range l {
		if strings.HasPrefix(at, path) && (at[len(path)] == '.' || at[len(path)] == '[') {
			return true
		}
	}
	return false
}

// ancestors returns the paths above a path that are worth a name of their own, the highest
// first. Fields at the top, and maps whose keys users choose, are not.
func ancestors(path string) []string {
	var above []string
	depth := 0
	for i, c := range path {
		if c == ']' {
			depth--
		}
		if i > 0 && depth == 0 && (c == '.' || c == '[') {
			at := path[:i]
			top := !strings.ContainsAny(at, ".[")
			if !top && !slices.Contains(keyed, at[strings.LastIndexByte(at, '.')+1:]) {
				above = append(above, at)
			}
		}
		if c == '[' {
			depth++
		}
	}
	return above
}
