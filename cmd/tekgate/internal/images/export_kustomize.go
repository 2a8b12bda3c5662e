package images

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
)

// kustomizeFile is as much of kustomize's file as is written.
type kustomizeFile struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Images     []kustomizeImage `json:"images,omitempty"`
	Patches    []kustomizePatch `json:"patches,omitempty"`
}

type kustomizeImage struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
	NewTag  string `json:"newTag,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

type kustomizePatch struct {
	Target kustomizeTarget `json:"target"`
	Patch  string          `json:"patch"`
}

type kustomizeTarget struct {
	Group     string `json:"group,omitempty"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// exportKustomize writes an images transformer for what it reaches. Arguments, and further versions
// of an image, get a patch of each by its position.
func exportKustomize(e export) (map[string][]byte, []string, error) {
	k := kustomizeFile{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}
	patched := 0
	for _, obj := range e.loaded.Objects {
		operations, err := k.rewrite(obj, e)
		if err != nil {
			return nil, nil, err
		}
		if len(operations) == 0 {
			continue
		}
		patched += len(operations) / 2
		text, err := yaml.Marshal(operations)
		if err != nil {
			return nil, nil, err
		}
		gvk := obj.GroupVersionKind()
		k.Patches = append(k.Patches, kustomizePatch{Patch: string(text), Target: kustomizeTarget{
			Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Name: obj.GetName(), Namespace: obj.GetNamespace(),
		}})
	}
	text, err := yaml.Marshal(k)
	warning := fmt.Sprintf("kustomize's images transformer reaches neither arguments nor two versions of one image: "+
		"%d references are patched by their position, which is that of this release alone", patched)
	return map[string][]byte{"kustomization.yaml": withHeader(text,
		"tekgate render --mirror upstream > release.yaml",
		"echo 'resources: [release.yaml]' >> kustomization.yaml",
		"kubectl apply --server-side -k .",
		"",
		"Give `tekgate render` the flags for the release that this file was exported with: the patches",
		"go by the position of an argument, and fail on another release. kustomize copies no image:",
		"fill the mirror first, and check it with `tekgate images verify`.")}, []string{warning}, err
}

// rewrite adds an object's images to the transformer, and returns patches for
// those that it does not reach.
func (k *kustomizeFile) rewrite(obj *unstructured.Unstructured, e export) ([]map[string]string, error) {
	var operations []map[string]string
	for _, field := range manifest.Images(obj.Object) {
		ref, err := image.Parse(field.Value)
		if err != nil {
			return nil, err
		}
		done, err := e.loaded.Rules.Rewrite(ref)
		if err != nil || done.Rule == "" && done.To == done.From {
			continue
		}
		if strings.HasSuffix(field.Path, ".image") && k.transforms(field.Value, done.To) {
			continue
		}
		before, err := at(obj.Object, field.Path)
		if err != nil {
			return nil, err
		}
		field.Set(done.To.String())
		after, err := at(obj.Object, field.Path)
		if err != nil {
			return nil, err
		}
		// The test makes the patch fail on a release that looks otherwise.
		pointer := pointerOf(field.Path)
		operations = append(operations,
			map[string]string{"op": "test", "path": pointer, "value": before},
			map[string]string{"op": "replace", "path": pointer, "value": after})
	}
	return operations, nil
}

// transforms reports whether the transformer makes this of an image, to which it adds the image if
// need be. It finds images by their name alone, so it makes one thing of all versions.
func (k *kustomizeFile) transforms(written string, to image.Reference) bool {
	one := kustomizeImage{Name: nameOf(written), NewName: to.Repository(), NewTag: to.Tag, Digest: to.Digest}
	same := func(k kustomizeImage) bool { return k.Name == one.Name }
	if i := slices.IndexFunc(k.Images, same); i >= 0 {
		return k.Images[i] == one
	}
	k.Images = append(k.Images, one)
	return true
}

// nameOf is the part of a reference that kustomize matches: as it is written,
// without tag and digest.
func nameOf(written string) string {
	name, _, _ := strings.Cut(written, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return name
}

// pointerOf turns a path such as spec.containers[0].args[3] into a JSON pointer.
// No key of a workload on the way to an image has a dot or a slash.
func pointerOf(path string) string {
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(path)
}

// at returns the string at a path.
func at(obj map[string]any, path string) (string, error) {
	var value any = obj
	for _, step := range strings.Split(pointerOf(path)[1:], "/") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return "", fmt.Errorf("path %s leads nowhere", path)
			}
			value = v[i]
		}
	}
	s, ok := value.(string)
	if !ok {
		text, _ := json.Marshal(value)
		return "", fmt.Errorf("path %s leads to %s, which is no string", path, text)
	}
	return s, nil
}
