package images

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
)

// exportFormat is a tool that can be told of the mirror.
type exportFormat struct {
	name, doc string
	// write returns the files of the format by name, and warnings about what
	// the tool cannot do.
	write func(export) (files map[string][]byte, warnings []string, err error)
}

// exportFormats are what `images export` knows.
var exportFormats = []exportFormat{
	{"skopeo", "the input of `skopeo sync --src yaml`, which cannot rename images", exportSkopeo},
	{"regsync", "a regsync.yml for `regsync once`", exportRegsync},
	{"image-syncer", "the images.yaml of Alibaba's image-syncer", exportImageSyncer},
	{"containerd", "a hosts.toml for every registry, for mirrors that keep paths", exportContainerd},
	{"kustomize", "a kustomization that rewrites `image:` fields, and arguments by their position", exportKustomize},
}

// export is what there is to say about a release.
type export struct {
	images []image.Rewritten
	loaded *release.Loaded
}

func exportCommand() *cobra.Command {
	var (
		s              release.Source
		format, folder string
	)
	long := "Write what another tool needs to fill the mirror, or to use it:\n\n"
	for _, f := range exportFormats {
		long += "- " + f.name + ": " + f.doc + "\n"
	}
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Write the mapping for another tool",
		Long:    strings.TrimSuffix(long, "\n"),
		Example: "  tekgate images export --format regsync --mirror registry.example.com/tekton > regsync.yml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i := slices.IndexFunc(exportFormats, func(f exportFormat) bool { return f.name == format })
			if i < 0 {
				return fmt.Errorf("--format %q is not known: choose one of %s", format,
					strings.Join(formatNames(), ", "))
			}
			images, l, err := s.Images(cmd.Context(), cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			e := export{loaded: l}
			for _, one := range images {
				if one.Candidates[0].Rule != "" {
					e.images = append(e.images, one.Candidates[0])
				}
			}
			files, warnings, err := exportFormats[i].write(e)
			if err != nil {
				return fmt.Errorf("exporting for %s: %w", format, err)
			}
			for _, w := range warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			return writeFiles(cmd.OutOrStdout(), folder, files)
		},
	}
	s.Flags(cmd)
	cmd.Flags().StringVar(&format, "format", "", "`TOOL`: "+strings.Join(formatNames(), ", "))
	cmd.Flags().StringVar(&folder, "folder", "", "write the files into `FOLDER` and not to standard output")
	_ = cmd.MarkFlagRequired("format")
	return cmd
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

// sourceOf is what other tools copy: the living name, by digest where there is
// one, for most tools refuse a tag beside it.
func sourceOf(done image.Rewritten) string {
	from := done.From.Canonical()
	if from.Digest != "" {
		from.Tag = ""
	}
	return from.String()
}

// targetOf is where they copy it, with the tag that Tekgate would give.
func targetOf(done image.Rewritten) string {
	to := done.To
	if to.Tag == "" {
		to.Tag = done.From.DigestTag()
	}
	to.Digest = ""
	return to.String()
}

func exportRegsync(e export) (map[string][]byte, []string, error) {
	type step struct {
		Source string `json:"source"`
		Target string `json:"target"`
		Type   string `json:"type"`
	}
	file := struct {
		Version int    `json:"version"`
		Sync    []step `json:"sync"`
	}{Version: 1}
	for _, done := range e.images {
		file.Sync = append(file.Sync, step{sourceOf(done), targetOf(done), "image"})
	}
	text, err := yaml.Marshal(file)
	return map[string][]byte{"regsync.yml": text}, nil, err
}

func exportImageSyncer(e export) (map[string][]byte, []string, error) {
	file := map[string]string{}
	for _, done := range e.images {
		file[sourceOf(done)] = targetOf(done)
	}
	text, err := yaml.Marshal(file)
	return map[string][]byte{"images.yaml": text}, nil, err
}

// exportSkopeo writes what `skopeo sync` reads. It puts every image below the
// destination by the last element of its path, or with --scoped by all of its
// name, and knows no other.
func exportSkopeo(e export) (map[string][]byte, []string, error) {
	type host struct {
		Images map[string][]string `json:"images"`
	}
	hosts := map[string]host{}
	for _, done := range e.images {
		from := done.From.Canonical()
		if hosts[from.Host].Images == nil {
			hosts[from.Host] = host{Images: map[string][]string{}}
		}
		version := from.Tag
		if from.Digest != "" {
			version = from.Digest
		}
		hosts[from.Host].Images[from.Path] = append(hosts[from.Host].Images[from.Path], version)
	}
	text, err := yaml.Marshal(hosts)
	if err != nil {
		return nil, nil, err
	}
	how, warnings := skopeoDestination(e.images)
	head := "# skopeo sync --all --preserve-digests --src yaml --dest docker " + how + "\n"
	return map[string][]byte{"skopeo.yaml": append([]byte(head), text...)}, warnings, nil
}

// skopeoDestination finds the flags with which skopeo puts the images where the
// rules say, and says so where there are none.
func skopeoDestination(images []image.Rewritten) (how string, warnings []string) {
	for _, scoped := range []bool{false, true} {
		if prefix, ok := commonPrefix(images, func(from image.Reference) string {
			if scoped {
				return from.Repository()
			}
			return from.Path[strings.LastIndex(from.Path, "/")+1:]
		}); ok {
			flag := ""
			if scoped {
				flag = "--scoped "
			}
			return flag + "skopeo.yaml " + prefix, nil
		}
	}
	return "skopeo.yaml MIRROR",
		[]string{"skopeo sync cannot rename images, and this mirror's names are its own: the images would land elsewhere; use `tekgate images copy`, another format, or mirror.layout last-segment or host-path"}
}

// commonPrefix returns what stands before a part of every image's upstream name
// in its name on the mirror, the slash between them left out.
func commonPrefix(images []image.Rewritten, part func(from image.Reference) string) (prefix string, ok bool) {
	for i, done := range images {
		p, found := strings.CutSuffix(done.To.Repository(), "/"+part(done.From.Canonical()))
		if !found || i > 0 && p != prefix {
			return "", false
		}
		prefix = p
	}
	return prefix, len(images) > 0
}
