// Package release assembles the manifests that Tekton publishes from the Go
// modules that Tekton publishes.
//
// Whoever needs Tekgate can often reach neither GitHub nor Tekton's download
// hosts, but can reach a Go module proxy; and a module is pinned by a checksum
// where a downloaded file is not. A release manifest is the module's config
// folder with two substitutions, which `ko resolve` and a sed script make
// (tekton/publish.yaml of tektoncd/pipeline and tektoncd/triggers): import
// paths become image names, and the version label "devel" becomes the version.
// The images' digests alone cannot be known this way: the result names images
// by tag.
package release

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Manifest is one file of a published release.
type Manifest struct {
	// Name is its name there and, with ".json.gz", in the binary.
	Name string
	// Module is the Go module that it is assembled from.
	Module string
	// Folder is where its documents lie in the module.
	Folder string
	// Recursive says whether folders below count too (ko's -R, which
	// Pipelines uses and Triggers does not).
	Recursive bool
	// Devel is the expression of what the release process replaces by the version, its first
	// group apart; "" for that of Pipelines and Triggers.
	Devel string
	// Kustomized says that the folder is built with kustomize, which Assemble cannot.
	Kustomized bool
}

// Manifests are the files that make a working Tekton: Triggers keeps its core
// interceptors apart, because their kind must be served before they can be
// created (tektoncd/triggers#1006).
var Manifests = []Manifest{
	{Name: "pipeline", Module: pipelineModule, Folder: "config", Recursive: true},
	{Name: "triggers", Module: triggersModule, Folder: "config"},
	{Name: "triggers-interceptors", Module: triggersModule, Folder: "config/interceptors"},
}

// Assemble returns a manifest's objects in the order in which they are
// published: the files by path, folders among them, and each file's documents
// as they stand. name turns an import path into a repository; version is the
// module's, with its v.
func (m Manifest) Assemble(
	module fs.FS,
	version string,
	name func(importPath string) string,
) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := fs.WalkDir(module, m.Folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != m.Folder && !m.Recursive {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" && ext != ".json" {
			return nil
		}
		text, err := fs.ReadFile(module, file)
		if err != nil {
			return err
		}
		read, err := Read(bytes.NewReader(m.Substitute(text, version, name)))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		objects = append(objects, read...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("assembling %s of %s %s: %w", m.Name, m.Module, version, err)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf(
			"assembling %s of %s %s: folder %s holds no manifest",
			m.Name,
			m.Module,
			version,
			m.Folder,
		)
	}
	return objects, nil
}

var (
	importPath = lazyregexp.New(`ko://([\w./-]+)`)
	// devel is what tekton/publish.yaml hands to sed.
	devel = lazyregexp.New(`((?:pipeline|triggers)\.tekton\.dev/release|version): "devel"`)
)

func substitute(text []byte, devel *lazyregexp.Regexp, version string, name func(string) string) []byte {
	text = importPath.ReplaceAllFunc(text, func(match []byte) []byte {
		return []byte(name(strings.TrimPrefix(string(match), "ko://")) + ":" + version)
	})
	return devel.ReplaceAll(text, []byte(`${1}: "`+version+`"`))
}

// Read decodes the objects of a YAML or JSON stream. Documents without content
// are passed over and lists are taken apart; anything else that is no
// Kubernetes object is an error with its document's number.
func Read(r io.Reader) ([]*unstructured.Unstructured, error) {
	documents := yaml.NewYAMLReader(bufio.NewReader(r))
	var objects []*unstructured.Unstructured
	for n := 1; ; n++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		read, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		objects = append(objects, read...)
	}
}

func decode(text []byte) ([]*unstructured.Unstructured, error) {
	raw, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if string(raw) == "null" {
		return nil, nil
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(raw); err != nil {
		return nil, errors.New("not a Kubernetes object: apiVersion or kind is missing")
	}
	if !obj.IsList() {
		if obj.GetName() == "" {
			return nil, fmt.Errorf("%s without a name", obj.GetKind())
		}
		return []*unstructured.Unstructured{obj}, nil
	}
	list, err := obj.ToList()
	if err != nil {
		return nil, fmt.Errorf("taking the %s apart: %w", obj.GetKind(), err)
	}
	var objects []*unstructured.Unstructured
	for i := range list.Items {
		objects = append(objects, &list.Items[i])
	}
	return objects, nil
}
