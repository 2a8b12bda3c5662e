package lint

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// lintFile is a file that is judged.
type lintFile struct {
	name      string // as it is shown
	text      []byte
	beside    bool   // whether kustomizations are among what is judged
	named     bool   // by the user; else it was found in a folder
	chart     string // the Helm chart whose template the file is, "" for none
	shelf     *validator.Shelf
	documents []*document.Document
	objects   []*linted
	template  bool       // whether it is one of Helm's
	broken    []*problem // documents that are not well-formed
	notes     []string
}

// linted is an object, and what the rules call it.
type linted struct {
	file    *lintFile
	object  *document.Object // without Fields, see fields
	name    string           // metadata.name
	subject validator.Subject
	// variables are those of Pipelines-as-Code in the object, for which subject has samples.
	variables variables
	filling   *filling // of Flux's variables, nil for none
	remote    *remote  // what came of its remote references, nil without --resolve
}

// tektonWord is what a text holds in which an object of Tekton's may stand.
const tektonWord = "tekton.dev"

// decodedObjects is how many objects are kept decoded: those of a file and of what it refers to, for each
// object that is judged at the same time, and some more.
const decodedObjects = 512

// readFiles reads all files and folders, each file once.
func readFiles(
	ctx context.Context, paths []string, in io.Reader, allowed *suppressions, errOut io.Writer,
) ([]*lintFile, error) {
	files, err := listFiles(paths, allowed)
	if err != nil {
		return nil, err
	}
	charts := charts{}
	shelf := validator.NewShelf(decodedObjects)
	for _, f := range files {
		f.shelf = shelf
		f.chart = charts.of(f)
	}
	problems := make([]error, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range files {
		group.Go(func() error {
			problems[i] = f.read(in)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, note := range f.notes {
			fmt.Fprintln(errOut, "note:", note)
		}
	}
	return files, errors.Join(problems...)
}

// listFiles returns the files that paths stand for, without those that are excluded,
// and without kustomizations, which are no objects.
func listFiles(paths []string, allowed *suppressions) ([]*lintFile, error) {
	var files []*lintFile
	seen := map[string]bool{}
	patches := map[string]bool{}
	kustomized := false
	for _, path := range paths {
		names, err := document.Files(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			key := filepath.Clean(name)
			if isKustomization(name) {
				kustomized = true
				addPatches(patches, name)
			}
			if seen[key] || isKustomization(name) || allowed.excludes(name) {
				continue
			}
			seen[key] = true
			files = append(files, &lintFile{name: name, named: name == path})
		}
	}
	for _, f := range files {
		f.beside = kustomized
	}
	return slices.DeleteFunc(files, func(f *lintFile) bool { return !f.named && patches[filepath.Clean(f.name)] }), nil
}

func isKustomization(name string) bool {
	return slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, filepath.Base(name))
}

// read reads the file. The error says that it cannot be read; what is wrong with its
// text is a finding.
func (f *lintFile) read(in io.Reader) error {
	text, err := f.load(in)
	if err != nil {
		return err
	}
	if !f.named && !bytes.Contains(text, []byte("apiVersion")) {
		return nil // no object stands in it
	}
	f.parse(text)
	return nil
}

func (f *lintFile) load(in io.Reader) ([]byte, error) {
	if f.name == "-" {
		f.name = document.StandardInput
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.name, err)
		}
		return text, nil
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("reading %s: %w", f.name, err)
	}
	return text, nil
}

// parse takes a text for that of the file.
func (f *lintFile) parse(text []byte) {
	f.text, f.objects, f.broken, f.notes, f.documents = text, nil, nil, nil, nil
	if at := bytes.Index(text, []byte("{{")); at >= 0 && f.chart != "" && !f.named {
		if bytes.Contains(text, []byte(tektonWord)) {
			f.isTemplate(1 + bytes.Count(text[:at], []byte("\n")))
		}
		return
	}
	documents, problems := document.Parse(f.name, text)
	f.documents = documents
	for _, p := range problems {
		f.malformed(p)
	}
	for _, d := range documents {
		objects, err := d.Objects()
		if err != nil {
			f.noObject(d, err)
			continue
		}
		for _, o := range objects {
			f.objects = append(f.objects, f.pack(o))
		}
	}
}

// pack returns an object of the file. Its fields go to the shelf.
func (f *lintFile) pack(o *document.Object) *linted {
	subject := subjectOf(o.Fields)
	name, _ := objects.Metadata(o.Fields)["name"].(string)
	subject.Packed = f.shelf.Pack(subject.Kind, o.Raw, o.Fields)
	subject.Fields, o.Fields = nil, nil
	return &linted{file: f, object: o, name: name, subject: subject}
}

// fields returns the object as the file has it. They must not be changed.
func (o *linted) fields() map[string]any { return o.subject.Packed.Fields() }

// malformed decides what is said of a document that is not well-formed: it is a finding
// where it looks like Tekton's, or where the user has named the file.
func (f *lintFile) malformed(p *document.SyntaxError) {
	if !f.named && !bytes.Contains(f.text, []byte(tektonWord)) {
		if len(f.notes) == 0 {
			f.notes = append(f.notes,
				fmt.Sprintf("%s was skipped, since it is neither well-formed nor Tekton's: line %d", f.name, p.Line))
		}
		return
	}
	line, message := p.Line, p.Err.Error()+": nothing of this document can be judged"
	if first, is := p.IsTemplate(); is && f.isPipelinesAsCode() {
		if at := unquoted.FindIndex(p.Document.Text); at != nil {
			line = p.Document.Line + bytes.Count(p.Document.Text[:at[1]], []byte("\n"))
			message = "{{ … }} without quotes is no text in YAML, so nothing of this document can be judged: " +
				`put it in quotes, such as "{{ revision }}"`
		}
	} else if is {
		if line == p.Document.Line {
			line = first
		}
		f.isTemplate(line)
		return
	}
	f.broken = append(f.broken,
		&problem{File: f.name, Line: line, Column: 1, Rule: findings.SyntaxRule.ID, Severity: validator.Error,
			Message: message})
}

// unquoted matches a variable of Pipelines-as-Code that begins a value without quotes.
var unquoted = lazyregexp.New(`(?m)^[^#"'\n]*[:\-\[,][ \t]*\{\{`)

// isPipelinesAsCode reports whether the file is one that Pipelines-as-Code reads, and not Helm.
func (f *lintFile) isPipelinesAsCode() bool {
	return f.chart == "" &&
		(strings.Contains(f.place(), "/.tekton/") || bytes.Contains(f.text, []byte(ofPipelinesAsCode)))
}

// isTemplate notes that the file is a template.
func (f *lintFile) isTemplate(line int) {
	if f.template {
		return
	}
	f.template = true
	f.broken = append(f.broken,
		&problem{File: f.name, Line: line, Column: 1, Rule: findings.SyntaxRule.ID, Severity: validator.Error,
			Message: "not well-formed, since it is a template as Helm has them: judge what it comes to with `helm template CHART | tekgate lint -`, and exclude the file in .tekgatelint",
			chart:   cmp.Or(f.chart, filepath.Dir(f.name))})
}

// noObject decides what is said of a document that is no object: a values file or a
// workflow of a forge is none of ours.
func (f *lintFile) noObject(d *document.Document, err error) {
	var what *document.NotAnObjectError
	fields, _ := object.Decode(d.JSON)
	version, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	list := strings.HasSuffix(kind, "List") && bytes.Contains(d.JSON, []byte(tektonWord))
	switch {
	case errors.As(err, &what) && f.named && version == "" && kind != "" && fields["spec"] != nil:
		line, column := d.Position("kind")
		remedy := "write it above kind"
		if known := validator.APIVersionOf(kind); known != "" {
			remedy = "write apiVersion: " + known
		}
		f.broken = append(f.broken,
			&problem{File: f.name, Line: line, Column: column, Rule: findings.SyntaxRule.ID, Severity: validator.Error,
				Message: fmt.Sprintf("this %s is without apiVersion, so it is no Kubernetes object: %s", kind, remedy)})
	case errors.As(err, &what) && (strings.Contains(version, tektonWord) || list):
		line, column := d.Position("")
		f.broken = append(f.broken,
			&problem{File: f.name, Line: line, Column: column, Rule: findings.SyntaxRule.ID, Severity: validator.Error,
				Message: what.Error()})
	case f.named:
		f.notes = append(f.notes, err.Error())
	}
}

// subjectOf returns an object as the rules take it.
func subjectOf(fields map[string]any) validator.Subject {
	version, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	return validator.Subject{
		Kind: schema.FromAPIVersionAndKind(version, kind), Namespace: objects.NamespaceOr(objects.Metadata(fields), ""),
		Fields: fields,
	}
}
