package object

import (
	"maps"
	"slices"
	"strings"
)

// ParamImage is a parameter of a task that decides images.
type ParamImage struct {
	Name string
	// Images are the paths of the images that it is in whole, such as spec.steps[0].image.
	Images []string
	// Elsewhere is a place that uses it for something else: changing its value changes that,
	// too. "" means that there is none.
	Elsewhere string
	// Enum tells whether it may have certain values only.
	Enum bool
	// Part is an image that it is a part of, as it is written, "" for none.
	Part string
}

// ParamImages returns the parameters that decide images of the task, in the order of those.
// Around is what else uses the task's parameters, by its path.
func (t Task) ParamImages(around map[string]any) []ParamImage {
	var found []ParamImage
	at := map[string]int{} // position in found by name
	images := map[string]bool{}
	add := func(name, path string) int {
		i, is := at[name]
		if !is {
			i = len(found)
			at[name] = i
			found = append(found, ParamImage{Name: name})
		}
		found[i].Images = append(found[i].Images, path)
		return i
	}
	for _, image := range t.Images() {
		images[image.Path] = true
		if image.Literal {
			continue
		}
		if key, single := onlyKey(image.Value, true); single {
			add(key, image.Path)
			continue
		}
		for _, name := range namesIn(image.Value) {
			found[add(name, image.Path)].Part = image.Value
		}
	}
	if len(found) == 0 {
		return nil
	}
	params, _ := t.Spec["params"].([]any)
	for _, item := range params {
		param, _ := item.(map[string]any)
		name, _ := param["name"].(string)
		if i, is := at[name]; is && param["enum"] != nil {
			found[i].Enum = true
		}
	}
	use := func(path, text string) {
		if images[path] {
			return
		}
		for _, name := range namesIn(text) {
			name, _, _ = strings.Cut(name, "[")
			if i, is := at[name]; is && found[i].Elsewhere == "" {
				found[i].Elsewhere = path
			}
		}
	}
	texts(t.Spec, t.Path, use)
	for _, path := range slices.Sorted(maps.Keys(around)) {
		texts(around[path], path, use)
	}
	return found
}

// namesIn returns the names of the parameters that a text uses.
func namesIn(text string) []string {
	var names []string
	for rest := text; ; {
		next := strings.Index(rest, "$(")
		if next < 0 {
			return names
		}
		rest = rest[next:]
		end := strings.Index(rest[2:], "$(")
		if end >= 0 {
			end += 2
		}
		if key, length := keyAt(rest, end, true); length > 0 {
			names = append(names, key)
		}
		rest = rest[2:]
	}
}

// texts calls visit for every text, but those that only describe something.
func texts(value any, at string, visit func(path, text string)) {
	switch value := value.(type) {
	case string:
		visit(at, value)
	case []any:
		for i, item := range value {
			texts(item, element(at, i), visit)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			item := value[key]
			if _, text := item.(string); text && (key == "description" || key == "displayName") {
				continue
			}
			texts(item, at+"."+key, visit)
		}
	}
}
