// Package published knows the digests that Tekton published for the images of its releases.
//
// They are in a table in this folder, which `go run ./internal/published/renew` renews. The
// releases that are compiled into tekgate are assembled from Tekton's Go modules, which do not
// say the digests, so their rows are empty until the published release files were read.
package published

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

//go:embed digests.tsv
var digests string

// NotObtained is the source of a row without a digest.
const NotObtained = "not obtained"

// Row is the digest of one image.
type Row struct {
	Image  image.Reference // with a tag and without a digest, as the release names it
	Digest string          // "" if it is not known
	Source string          // where the digest is from
}

// Table has the digests of images.
type Table struct {
	Rows   []Row
	digest map[string]string // by the living name
}

// Embedded returns the table of this version.
func Embedded() (*Table, error) { return Parse(digests) }

// Parse reads a table: a line for each image with its name, its digest and the source of the
// digest, separated by tabs. Lines that begin with # are comments.
func Parse(text string) (*Table, error) {
	t := &Table{digest: map[string]string{}}
	for n, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row, err := parseRow(line)
		if err == nil {
			err = t.add(row)
		}
		if err != nil {
			return nil, fmt.Errorf("published digests, line %d: %w", n+1, err)
		}
	}
	return t, nil
}

var validDigest = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)

func parseRow(line string) (Row, error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 3 {
		return Row{}, fmt.Errorf("%d fields, want image, digest and source", len(fields))
	}
	ref, err := image.Parse(fields[0])
	row := Row{Image: ref, Digest: fields[1], Source: fields[2]}
	switch {
	case err != nil:
		return row, err
	case ref.Tag == "" || ref.Digest != "" || ref.String() != fields[0]:
		return row, fmt.Errorf("image %q: want a full name with a tag and without a digest", fields[0])
	case !IsTekton(ref):
		return row, fmt.Errorf("image %s is not Tekton's", ref)
	case row.Digest != "" && !validDigest.MatchString(row.Digest):
		return row, fmt.Errorf("image %s: %q is not a SHA-256 digest", ref, row.Digest)
	case row.Source == "" || (row.Digest == "") != (row.Source == NotObtained):
		return row, fmt.Errorf("image %s: source %q does not fit digest %q", ref, row.Source, row.Digest)
	}
	return row, nil
}

func (t *Table) add(row Row) error {
	key := row.Image.Canonical().String()
	if _, twice := t.digest[key]; twice {
		return fmt.Errorf("image %s has two rows", row.Image)
	}
	t.digest[key] = row.Digest
	t.Rows = append(t.Rows, row)
	return nil
}

// Digest returns the digest that Tekton published for an image, by any name under which
// Tekton did, and "" if it is not known. ok is false for images that are not Tekton's. It is
// an image.Lookup.
func (t *Table) Digest(upstream image.Reference) (digest string, ok bool) {
	if upstream.Tag == "" {
		return t.digestAlone(upstream), IsTekton(upstream)
	}
	upstream.Digest = ""
	return t.digest[upstream.Canonical().String()], IsTekton(upstream)
}

// digestAlone returns the digest of an image that has no tag, as in release.notags.yaml, if
// Tekton published it in any release.
func (t *Table) digestAlone(upstream image.Reference) string {
	repository := upstream.Canonical().Repository()
	if slices.ContainsFunc(t.Rows, func(row Row) bool {
		return row.Digest != "" && row.Digest == upstream.Digest && row.Image.Canonical().Repository() == repository
	}) {
		return upstream.Digest
	}
	return ""
}

// IsTekton reports whether an image has a name that Tekton publishes under.
func IsTekton(ref image.Reference) bool {
	ref = ref.Canonical()
	return ref.Host == "ghcr.io" && strings.HasPrefix(ref.Path, "tektoncd/")
}

const header = `# The digests that Tekton published for the images of its releases: image, digest, source.
# Written by: go run ./internal/published/renew
`

// Format returns rows as Parse reads them, in the order of their names.
func Format(rows []Row) string {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Image.String(), b.Image.String()) })
	var text strings.Builder
	text.WriteString(header)
	for _, row := range rows {
		fmt.Fprintf(&text, "%s\t%s\t%s\n", row.Image, row.Digest, row.Source)
	}
	return text.String()
}
