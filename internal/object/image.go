package object

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// ImageField is a place in an object where an image reference stands.
type ImageField struct {
	// Path names the place to people: spec.template.spec.containers[0].args[3].
	Path string
	// Value is the reference as it is written.
	Value string
	// Literal tells whether nothing is filled in there, so that $(params.x) is no image. Neither
	// Tekton nor Kubernetes substitutes anything in an image volume (ApplyReplacements and
	// applyVolumeReplacements in pkg/reconciler/taskrun/resources/apply.go, pipeline v1.15.0).
	Literal bool
	// Flag is the flag whose value the reference is, as it is written; empty at other places.
	Flag string
	// Container is the name of the container, and Variable that of the environment variable,
	// where the reference is one's.
	Container, Variable string

	fields map[string]any // that hold it under key; nil where set knows better
	key    string
	set    func(string)
}

// Set writes another reference to the place.
func (f *ImageField) Set(value string) {
	f.Value = value
	if f.fields != nil {
		f.fields[f.key] = value
		return
	}
	f.set(value)
}

// podSpecs says where each workload kind keeps its Pod's spec.
var podSpecs = map[string][]string{
	"Pod":         {"spec"},
	"Deployment":  {"spec", "template", "spec"},
	"DaemonSet":   {"spec", "template", "spec"},
	"StatefulSet": {"spec", "template", "spec"},
	"ReplicaSet":  {"spec", "template", "spec"},
	"Job":         {"spec", "template", "spec"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template", "spec"},
}

// imageFlag matches the flags whose value is an image, such as Tekton's
// -entrypoint-image and -shell-image-win and Triggers' -el-image.
var imageFlag = lazyregexp.New(`^--?(?:[\w.-]*-)?image(?:-win|-windows)?$`)

// imageEnv matches the environment variables whose value is an image.
var imageEnv = lazyregexp.New(`^IMAGE_|(?:^|_)IMAGE$`)

// Images returns every place in a workload where an image reference stands:
// containers of all sorts, their image flags in both forms (-flag image and
// -flag=image), image variables, and image volumes. Six of the ten images of a
// Pipelines release stand in flags alone (pipeline v1.15.0
// config/controller.yaml). Other kinds have none.
func Images(obj map[string]any) []*ImageField {
	spec, at := podSpec(obj)
	w := imageWalk{}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		each(spec[list], at+"."+list, w.container)
	}
	each(spec["volumes"], at+".volumes", w.volume)
	return w.fields
}

// podSpec returns the specification of a workload's Pods, and its path; nil for other kinds.
func podSpec(obj map[string]any) (spec map[string]any, at string) {
	kind, _ := obj["kind"].(string)
	path, ok := podSpecs[kind]
	if !ok {
		return nil, ""
	}
	spec = obj
	for _, name := range path {
		spec, _ = spec[name].(map[string]any)
	}
	return spec, strings.Join(path, ".")
}

// each calls visit for every map of a list.
func each(list any, at string, visit func(item map[string]any, at string)) {
	items, _ := list.([]any)
	for i, item := range items {
		if m, ok := item.(map[string]any); ok {
			visit(m, element(at, i))
		}
	}
}

// element is the path of an element of the list at a path.
func element(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

type imageWalk struct{ fields []*ImageField }

func (w *imageWalk) add(path, flag, value string, set func(string)) {
	if value != "" {
		w.fields = append(w.fields, &ImageField{Path: path, Value: value, Flag: flag, set: set})
	}
}

func (w *imageWalk) key(m map[string]any, key, at string) {
	if value, _ := m[key].(string); value != "" {
		w.fields = append(w.fields, &ImageField{Path: at + "." + key, Value: value, fields: m, key: key})
	}
}

func (w *imageWalk) container(c map[string]any, at string) {
	before := len(w.fields)
	w.key(c, "image", at)
	for _, list := range []string{"command", "args"} {
		if words, ok := c[list].([]any); ok {
			w.flags(words, at+"."+list)
		}
	}
	each(c["env"], at+".env", func(env map[string]any, at string) {
		name, _ := env["name"].(string)
		value, _ := env["value"].(string)
		if imageEnv.MatchString(name) && strings.Contains(value, "/") {
			w.key(env, "value", at)
			w.fields[len(w.fields)-1].Variable = name
		}
	})
	name, _ := c["name"].(string)
	for _, field := range w.fields[before:] {
		field.Container = name
	}
}

func (w *imageWalk) volume(v map[string]any, at string) {
	source, _ := v["image"].(map[string]any)
	if value, _ := source["reference"].(string); value != "" {
		w.fields = append(w.fields, &ImageField{
			Path: at + imageVolume, Value: value, Literal: true, fields: source, key: "reference",
		})
	}
}

// PodTemplateImages returns the images in the volumes of a run's podTemplates: of its
// own, and of those for single tasks.
func PodTemplateImages(run map[string]any) []*ImageField {
	settings, ok := SettingsOf(run)
	if !ok {
		return nil
	}
	var w imageWalk
	w.podTemplate(settings.Fields, "podTemplate", settings.Path)
	if run["kind"] == "PipelineRun" {
		each(settings.spec["taskRunSpecs"], "spec.taskRunSpecs", func(own map[string]any, at string) {
			w.podTemplate(own, "podTemplate", at)
			w.podTemplate(own, "taskPodTemplate", at) // of v1beta1
		})
	}
	return w.fields
}

func (w *imageWalk) podTemplate(holder map[string]any, key, at string) {
	if template, ok := holder[key].(map[string]any); ok {
		each(template["volumes"], at+"."+key+".volumes", w.volume)
	}
}

// imageVolume is the path of an image below its volume.
const imageVolume = ".image.reference"

// inImageVolume matches the path of an image in a volume.
var inImageVolume = lazyregexp.New(`(?:^|\.)volumes\[\d+\]\.image\.reference$`)

// InImageVolume reports whether a path is that of an image in a volume, see ImageField.Literal.
func InImageVolume(path string) bool {
	return strings.HasSuffix(path, imageVolume) && inImageVolume.MatchString(path)
}

func (w *imageWalk) flags(words []any, at string) {
	for i := range words {
		word, _ := words[i].(string)
		flag, value, joined := strings.Cut(word, "=")
		if !imageFlag.MatchString(flag) {
			continue
		}
		if joined {
			w.add(fmt.Sprintf("%s[%d]", at, i), flag, value, func(v string) { words[i] = flag + "=" + v })
			continue
		}
		if i+1 == len(words) {
			continue
		}
		if next, _ := words[i+1].(string); !strings.HasPrefix(next, "-") {
			w.add(fmt.Sprintf("%s[%d]", at, i+1), flag, next, func(v string) { words[i+1] = v })
		}
	}
}

// Strings calls visit for every string in an object that may carry an image
// reference, with its path. The descriptions of a CustomResourceDefinition are
// left out: they only talk about images.
func Strings(obj map[string]any, visit func(path, value string)) {
	kind, _ := obj["kind"].(string)
	walkStrings(obj, "", kind == "CustomResourceDefinition", visit)
}

func walkStrings(v any, at string, crd bool, visit func(path, value string)) {
	switch v := v.(type) {
	case string:
		visit(at, v)
	case []any:
		for i, item := range v {
			walkStrings(item, fmt.Sprintf("%s[%d]", at, i), crd, visit)
		}
	case map[string]any:
		for key, item := range v {
			if _, text := item.(string); crd && text && key == "description" {
				continue
			}
			walkStrings(item, strings.TrimPrefix(at+"."+key, "."), crd, visit)
		}
	}
}
