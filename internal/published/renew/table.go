package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/published"
	"github.com/tekgate/tekgate/internal/release"
)

// line is a manifest that is compiled into tekgate.
type line struct {
	name, version string
	url           string            // of the release file that Tekton published
	images        []image.Reference // Tekton's, with tags
}

// embedded returns the manifests of all lines, each version once.
func embedded(ctx context.Context, releases string) ([]line, error) {
	var lines []line
	for _, of := range release.Lines {
		for _, m := range release.Manifests {
			found, err := embeddedManifest(ctx, of, m, releases)
			if err != nil {
				return nil, err
			}
			lines = append(lines, found)
		}
	}
	return lines, nil
}

func embeddedManifest(ctx context.Context, of release.Line, m release.Manifest, releases string) (line, error) {
	module, err := of.Module(ctx, m)
	if err != nil {
		return line{}, err
	}
	objects, err := m.Assemble(os.DirFS(module.Dir), module.Version, image.PublishedName)
	if err != nil {
		return line{}, err
	}
	images, err := tektons(objects)
	if err != nil {
		return line{}, err
	}
	file := "release.yaml"
	if m.Name == "triggers-interceptors" {
		file = "interceptors.yaml"
	}
	repository := releases + strings.TrimPrefix(m.Module, "github.com")
	url := repository + "/releases/download/" + module.Version + "/" + file
	return line{m.Name, module.Version, url, images}, nil
}

// tektons returns Tekton's images in objects, arguments included, each once.
func tektons(objects []*unstructured.Unstructured) ([]image.Reference, error) {
	var images []image.Reference
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %s: %w", obj.GetKind(), obj.GetName(), field.Path, err)
			}
			if published.IsTekton(ref) && !slices.Contains(images, ref) {
				images = append(images, ref)
			}
		}
	}
	return images, nil
}

// pinned returns the rows that a release file says.
func pinned(in io.Reader, source string) ([]published.Row, error) {
	objects, err := release.Read(in)
	if err != nil {
		return nil, err
	}
	images, err := tektons(objects)
	if err != nil {
		return nil, err
	}
	var rows []published.Row
	for _, ref := range images {
		if ref.Tag == "" || ref.Digest == "" {
			return nil, fmt.Errorf("it names %s, and a published release file has tag and digest of each image", ref)
		}
		row := published.Row{Image: ref, Digest: ref.Digest, Source: source}
		row.Image.Digest = ""
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("it names no image of Tekton")
	}
	return rows, nil
}

// compare holds that rows are about the images of the line, all of them and no others.
func (l line) compare(rows []published.Row) error {
	var missing, more []string
	for _, ref := range l.images {
		if !slices.ContainsFunc(rows, func(row published.Row) bool { return row.Image == ref }) {
			missing = append(missing, ref.String())
		}
	}
	for _, row := range rows {
		if !slices.Contains(l.images, row.Image) {
			more = append(more, row.Image.String())
		}
	}
	if len(missing)+len(more) == 0 {
		return nil
	}
	return fmt.Errorf("the images differ from those of the embedded manifest: the file lacks [%s] and has [%s] besides",
		strings.Join(missing, " "), strings.Join(more, " "))
}

// known holds that rows of the embedded versions are about images of the embedded manifests.
func (t *table) known(rows []published.Row) error {
	for _, row := range rows {
		component, _, _ := row.Image.Tekton()
		ofLine, isKnown := false, false
		for _, l := range t.lines {
			isModule := component == l.name || strings.HasPrefix(l.name, component+"-")
			ofLine = ofLine || isModule && row.Image.Tag == l.version
			isKnown = isKnown || slices.Contains(l.images, row.Image)
		}
		if ofLine && !isKnown {
			return fmt.Errorf("it names %s, which is no image of the embedded manifest of that version", row.Image)
		}
	}
	return nil
}

// table is the table while it is renewed.
type table struct {
	lines   []line
	byImage map[string]published.Row // by the living name
}

// newTable returns the table of earlier rows with digests, and an empty row for each other
// image of the lines.
func newTable(before []published.Row, lines []line) *table {
	t := &table{lines: lines, byImage: map[string]published.Row{}}
	for _, l := range lines {
		for _, ref := range l.images {
			t.byImage[ref.Canonical().String()] = published.Row{Image: ref, Source: published.NotObtained}
		}
	}
	for _, row := range before {
		if row.Digest != "" {
			t.byImage[row.Image.Canonical().String()] = row
		}
	}
	return t
}

func (t *table) rows() []published.Row { return slices.Collect(maps.Values(t.byImage)) }

// empty returns how many rows of a line have no digest.
func (t *table) empty(l line) int {
	n := 0
	for _, ref := range l.images {
		if t.byImage[ref.Canonical().String()].Digest == "" {
			n++
		}
	}
	return n
}

// add adds rows with digests. A digest that differs from an earlier one is an error, because
// what was published under a version does not change. Nothing is added then.
func (t *table) add(rows []published.Row) error {
	var problems []error
	for _, row := range rows {
		before := t.byImage[row.Image.Canonical().String()]
		if before.Digest != "" && before.Digest != row.Digest {
			problems = append(problems, fmt.Errorf(
				"%s has digest %s by %s, and %s by %s: find out why, and remove the wrong row",
				row.Image, before.Digest, before.Source, row.Digest, row.Source))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	for _, row := range rows {
		if key := row.Image.Canonical().String(); t.byImage[key].Digest == "" {
			t.byImage[key] = row
		}
	}
	return nil
}
