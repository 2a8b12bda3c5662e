package images

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
)

// exportFormat is a tool whose files can be exported.
type exportFormat struct {
	name, doc string
	// fills says that the tool copies images to the mirror.
	fills bool
	keeps kept
	// write returns the files of the format by name, and warnings about what the tool
	// cannot do.
	write func(export) (files map[string][]byte, warnings []string, err error)
}

// kept describes what a tool keeps of an image.
type kept struct{ renames, digests, platforms, signatures string }

// exportFormats are the formats of `images export`.
var exportFormats = []exportFormat{
	{"skopeo", "the input of `skopeo sync --src yaml`, which cannot rename images", true,
		kept{"no: layouts `last-segment` and `host-path` only", "kept, or skopeo stops", "all", "no"}, exportSkopeo},
	{"regsync", "a regsync.yml for `regsync once`", true,
		kept{"yes", "kept", "all", "with `defaults: {digestTags: true, referrers: true}`"}, exportRegsync},
	{"image-syncer", "the images.yaml of Alibaba's image-syncer, which changes the digests of indexes", true,
		kept{"yes", "changed for nearly every index", "all", "no"}, exportImageSyncer},
	{"hauler", "an Images manifest for `hauler store sync`", true,
		kept{"yes, except images that are named by digest only", "kept", "all", "yes"}, exportHauler},
	{"zarf", "a zarf.yaml for `zarf package create`, which cannot rename images", true,
		kept{"no: layout `keep-path` on Zarf's registry only", "changed", "one", "no"}, exportZarf},
	{"containerd", "a hosts.toml for every registry, for mirrors that keep paths", false,
		kept{"no: layouts `keep-path` and `host-path`, preset `daocloud`", "kept", "all", "-"}, exportContainerd},
	{"kustomize", "a kustomization that rewrites `image:` fields, and arguments by their position", false,
		kept{"yes", "as the rules say", "-", "-"}, exportKustomize},
}

// export is what the files are written from.
type export struct {
	images    []image.Rewritten
	loaded    *release.Loaded
	plainHTTP []string // hosts without TLS
}

func exportCommand() *cobra.Command {
	var (
		s              release.Source
		format, folder string
		plainHTTP      []string
	)
	long := "Write the files with which another tool fills the mirror, or uses it:\n\n"
	for _, f := range exportFormats {
		long += "- " + f.name + ": " + f.doc + "\n"
	}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the mapping for another tool",
		Long: long + `
Each file starts with the commands that use it. What a tool cannot do is printed as a
warning. After a copy, ` + "`tekgate images verify`" + ` checks the mirror, whatever filled it.`,
		Example: "  tekgate images export --format regsync --mirror registry.example.com/tekton > regsync.yml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i := slices.IndexFunc(exportFormats, func(f exportFormat) bool { return f.name == format })
			if i < 0 {
				return fmt.Errorf("--format %q is not known: choose one of %s", format,
					strings.Join(formatNames(), ", "))
			}
			files, err := exportFiles(cmd.Context(), cli.StreamsOf(cmd), &s, exportFormats[i], plainHTTP)
			if err != nil {
				return err
			}
			return writeFiles(cmd.OutOrStdout(), folder, files)
		},
	}
	s.Flags(cmd)
	cmd.Flags().StringVar(&format, "format", "", "`TOOL`: "+strings.Join(formatNames(), ", "))
	cmd.Flags().StringVar(&folder, "folder", "", "write the files into `FOLDER` and not to standard output")
	cmd.Flags().StringArrayVar(&plainHTTP, "plain-http", nil,
		"`HOST` and port of a registry without TLS (repeatable; hosts of this machine need none)")
	_ = cmd.MarkFlagRequired("format")
	return cmd
}

// exportFiles returns the files of a format, and prints warnings.
func exportFiles(
	ctx context.Context, streams cli.Streams, s *release.Source, format exportFormat, plainHTTP []string,
) (map[string][]byte, error) {
	images, l, err := s.Images(ctx, streams)
	if err != nil {
		return nil, err
	}
	e, warnings := newExport(format, images)
	e.loaded, e.plainHTTP = l, plainHTTP
	files, more, err := format.write(e)
	if err != nil {
		return nil, fmt.Errorf("exporting for %s: %w", format.name, err)
	}
	for _, w := range append(warnings, more...) {
		streams.Warn(w)
	}
	return files, nil
}

// newExport returns the images that a format is about. A tool that fills the mirror must not
// put an image in the place of another one that the user chose for it.
func newExport(format exportFormat, images []release.Image) (e export, warnings []string) {
	for _, one := range images {
		done := one.Candidates[0]
		switch {
		case done.Rule == "":
		case format.fills && done.Other:
			warnings = append(warnings, replaced(done))
		default:
			e.images = append(e.images, done)
		}
	}
	return e, warnings
}

// replaced says why an image is not moved for which a rule names another one.
func replaced(done image.Rewritten) string {
	return fmt.Sprintf("%s is left out, because %s puts another image in its place: %s has to be on the mirror already",
		done.From, done.Rule, done.To)
}

func formatNames() []string {
	names := make([]string, 0, len(exportFormats))
	for _, f := range exportFormats {
		names = append(names, f.name)
	}
	return names
}

// writeFiles writes files into a folder, or one after the other, each below its
// name where there are several.
func writeFiles(out io.Writer, folder string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if folder == "" {
			if len(files) > 1 {
				fmt.Fprintf(out, "# %s\n", name)
			}
			if _, err := out.Write(files[name]); err != nil {
				return err
			}
			continue
		}
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// upstreamOf returns the name under which the image can be pulled today. Without tag and digest
// nodes pull latest; some tools would copy every tag.
func upstreamOf(done image.Rewritten) image.Reference {
	from := done.Source()
	if from.Digest == "" {
		from.Tag = cmp.Or(from.Tag, "latest")
	}
	return from
}

// sourceOf returns upstreamOf by digest if there is one: most tools refuse a tag beside it.
func sourceOf(done image.Rewritten) image.Reference {
	from := upstreamOf(done)
	if from.Digest != "" {
		from.Tag = ""
	}
	return from
}

// targetOf returns the reference that they copy to, with the tag that Tekgate would give.
// A target that has no tag is stored without one by some tools, and as latest by others.
func targetOf(done image.Rewritten) image.Reference {
	to := done.To
	if to.Tag == "" {
		to.Tag = cmp.Or(done.From.DigestTag(), "latest")
	}
	to.Digest = ""
	return to
}

// pinned returns the images whose upstream digest the manifests name on the mirror.
func pinned(images []image.Rewritten) []string {
	var names []string
	for _, done := range images {
		if done.To.Digest != "" && done.To.Digest == done.Source().Digest {
			names = append(names, done.From.String())
		}
	}
	return names
}

// withHeader puts comments before a file. Each line of theirs becomes a line of the file.
func withHeader(file []byte, comments ...string) []byte {
	var out strings.Builder
	for _, line := range strings.Split(strings.Join(comments, "\n"), "\n") {
		out.WriteString(strings.TrimSpace("# "+line) + "\n")
	}
	out.Write(file)
	return []byte(out.String())
}
