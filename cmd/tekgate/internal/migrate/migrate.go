// Package migrate converts Tekton's old objects in files to what Tekton serves now.
package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/migrate"
)

// migration is what the flags say.
type migration struct {
	options migrate.Options
	diff    bool
	write   bool
	output  cli.Output
}

// namespaceFlag is the flag that says where ClusterTasks go.
const namespaceFlag = "cluster-task-namespace"

// Command returns the command.
func Command() *cobra.Command {
	m := migration{options: migrate.Defaults()}
	cmd := &cobra.Command{
		Use:   "migrate PATH...",
		Short: "Convert old objects of Tekton to those that Tekton serves now",
		Long: `Convert objects of Tekton Pipelines and Triggers in files and folders (- is standard
input): v1alpha1 and v1beta1 to v1, PipelineResources to params, workspaces, results
and steps, Conditions to tasks and when, ClusterTasks to Tasks that the cluster
resolver fetches, bundles to the bundles resolver, old forms of triggers to those of
Triggers v1beta1, and all of this in the templates of TriggerTemplates too.

All paths together are one set: name a Task, its Pipeline, its runs and their
PipelineResources in one command, so that each knows what the others need. Comments
and layout stay. Each object is converted as a whole or left as it is. Where you have
to decide, a comment TODO(tekgate migrate) says what, and so does the report on
standard error. Migrating again changes nothing.

The texts are printed to standard output; --diff prints what would change, and -w
writes it into the files. The exit status is 0 if nothing is left to decide, 1 if
something is, and 2 if the files could not be read or written.`,
		Example: `  # look first, then write
  tekgate migrate .tekton --diff
  tekgate migrate .tekton -w

  # what is left to decide
  grep -rn 'TODO(tekgate migrate)' .tekton

  # with your own image for the steps that fetch git repositories
  tekgate migrate build.yaml --git-image registry.example.com/git:2.47.2`,
		Args: func(_ *cobra.Command, paths []string) error { return cli.Exit(2, m.check(paths)) },
		RunE: func(cmd *cobra.Command, paths []string) error {
			m.options.NamespaceGiven = cmd.Flags().Changed(namespaceFlag)
			return cli.Exit(2, m.run(cli.StreamsOf(cmd), paths))
		},
	}
	f := cmd.Flags()
	f.BoolVar(&m.diff, "diff", false, "print what would change as a diff, and change nothing")
	f.BoolVarP(&m.write, "write", "w", false, "write the changes into the files")
	f.StringVar(&m.options.GitImage, "git-image", m.options.GitImage,
		"`IMAGE` with git and sh, for the steps that fetch what were git resources")
	f.StringVar(&m.options.StorageImage, "storage-image", m.options.StorageImage,
		"`IMAGE` with gsutil and bash, for the steps that copy what were storage resources")
	f.StringVar(&m.options.Namespace, namespaceFlag, m.options.Namespace,
		"`NAMESPACE` of the Tasks that were ClusterTasks")
	m.output.Flag(cmd, "report", append([]string{"text"}, cli.Rows...)...)
	cli.FlagErrors(cmd, 2)
	return cmd
}

func (m *migration) check(paths []string) error {
	switch {
	case len(paths) == 0:
		return errors.New("no input: pass files or folders, or - for standard input")
	case m.output.Check() != nil:
		return m.output.Check()
	case m.diff && m.write:
		return errors.New("--diff and --write exclude one another: look with --diff first, then pass --write alone")
	case m.diff && m.output.ForPrograms():
		return errors.New("--output " + m.output.Format + " and --diff would both go to standard output: leave one of them out")
	case m.write && slices.Contains(paths, "-"):
		return errors.New("--write is for files: standard input has none, so leave --write or - out")
	case m.options.Namespace == "":
		return fmt.Errorf("--%s is empty: name a namespace", namespaceFlag)
	}
	if _, err := image.Parse(m.options.GitImage); err != nil {
		return fmt.Errorf("--git-image: %w", err)
	}
	if _, err := image.Parse(m.options.StorageImage); err != nil {
		return fmt.Errorf("--storage-image: %w", err)
	}
	return nil
}

func (m *migration) run(streams cli.Streams, paths []string) error {
	files, err := read(paths, streams.In)
	if err != nil {
		return err
	}
	out, notes := migrate.Files(files, m.options)
	if m.write {
		if err := write(files, out); err != nil {
			return err
		}
	}
	if err := m.print(streams.Out, files, out, notes); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return m.conclude(streams.ErrOut, files, out, notes)
}

// read reads the files that paths stand for, each once. Of a folder those are left out that
// hold nothing of Tekton's.
func read(paths []string, in io.Reader) ([]migrate.File, error) {
	var files []migrate.File
	seen := map[string]bool{}
	for _, path := range paths {
		names, err := document.Files(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			key := filepath.Clean(name)
			if seen[key] {
				continue
			}
			seen[key] = true
			file, err := load(name, in)
			if err != nil {
				return nil, err
			}
			if name == path || bytes.Contains(file.Text, []byte("tekton.dev/")) {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

func load(name string, in io.Reader) (migrate.File, error) {
	if name == "-" {
		text, err := io.ReadAll(in)
		if err != nil {
			return migrate.File{}, fmt.Errorf("reading %s: %w", document.StandardInput, err)
		}
		return migrate.File{Name: document.StandardInput, Text: text}, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return migrate.File{}, fmt.Errorf("reading the files: %w", err)
	}
	return migrate.File{Name: name, Text: text}, nil
}

// write writes the files that changed. If somebody has changed one of them since it was
// read, none is written.
func write(before, after []migrate.File) error {
	for i, f := range after {
		now, err := os.ReadFile(f.Name)
		switch {
		case err != nil:
			return fmt.Errorf("reading the files again: %w", err)
		case !bytes.Equal(now, before[i].Text):
			return fmt.Errorf("writing %s: it has changed since it was read; nothing was written: migrate again", f.Name)
		}
	}
	for i, f := range after {
		if bytes.Equal(before[i].Text, f.Text) {
			continue
		}
		if err := document.ReplaceFile(f.Name, f.Text); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
	}
	return nil
}

// reportJSON is the report as programs read it.
type reportJSON struct {
	Files []fileJSON     `json:"files"`
	Notes []migrate.Note `json:"notes"`
}

// Names returns the files that change.
func (r reportJSON) Names() []string {
	var names []string
	for _, f := range r.Files {
		if f.Changed {
			names = append(names, f.Name)
		}
	}
	return names
}

// fileJSON is a file of the report.
type fileJSON struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
	Text    string `json:"text,omitempty"` // after the changes, unless they were written
}

// print prints the texts, the differences or the report to standard output.
func (m *migration) print(out io.Writer, before, after []migrate.File, notes []migrate.Note) error {
	switch {
	case m.output.ForPrograms():
		report := reportJSON{Files: []fileJSON{}, Notes: append([]migrate.Note{}, notes...)}
		for i, f := range after {
			one := fileJSON{Name: f.Name, Changed: !bytes.Equal(before[i].Text, f.Text)}
			if one.Changed && !m.write {
				one.Text = string(f.Text)
			}
			report.Files = append(report.Files, one)
		}
		return m.output.Print(out, report, nil)
	case m.write:
		return nil
	}
	ended := true // whether what was printed ends with a separator or nothing was
	for i, f := range after {
		text := string(f.Text)
		if m.diff {
			text = cli.Diff(f.Name, "migrated", before[i].Text, f.Text)
		} else if !ended && !strings.HasPrefix(text, "---") && !strings.HasPrefix(strings.TrimSpace(text), "{") {
			text = "---\n" + text
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		ended = ended && text == ""
	}
	return nil
}

// conclude prints the report, and returns what the program ends with.
func (m *migration) conclude(errOut io.Writer, before, after []migrate.File, notes []migrate.Note) error {
	decisions, changed := 0, 0
	for _, n := range notes {
		if n.Decision() {
			decisions++
		}
		if !m.output.ForPrograms() {
			fmt.Fprintln(errOut, line(n))
		}
	}
	for i, f := range after {
		if !bytes.Equal(before[i].Text, f.Text) {
			changed++
		}
	}
	word := "would be changed"
	if m.write {
		word = "changed"
	}
	fmt.Fprintf(errOut, "%s of %d %s, %s to make\n", cli.Plural(changed, "file"), len(after), word,
		cli.Plural(decisions, "decision"))
	if decisions > 0 {
		return cli.Exit(1, fmt.Errorf("%s left to make: see the lines above and the comments %s",
			cli.Plural(decisions, "decision"), "TODO(tekgate migrate)"))
	}
	return nil
}

// line is a note for people.
func line(n migrate.Note) string {
	text := fmt.Sprintf("%s:%d: %s: ", n.File, n.Line, n.Level)
	if n.Kind != "" {
		text += strings.TrimSuffix(n.Kind+" "+n.Name, " ") + ": "
	}
	return display.Printable(text+n.Message, '\ufffd')
}
