// Command renew renews the table of the digests that Tekton published.
//
//	go run ./internal/published/renew
//
// downloads the release files of the versions in go.mod and writes the digests that they pin
// into the table; it needs github.com. Where that is out of reach,
//
//	go run ./internal/published/renew --from release.yaml --source https://…/release.yaml
//
// reads files or folders, of these or of other versions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tekgate/tekgate/internal/published"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "renew:", err)
		os.Exit(1)
	}
}

// flags are those of the command.
type flags struct {
	table, releases, source string
	from                    []string
}

func parse(args []string, log io.Writer) (f flags, err error) {
	set := flag.NewFlagSet("renew", flag.ContinueOnError)
	set.SetOutput(log)
	set.StringVar(&f.table, "table", "internal/published/digests.tsv", "`FILE` of the table")
	set.StringVar(&f.releases, "releases", "https://github.com", "`URL` that Tekton's repositories are below")
	set.StringVar(&f.source, "source", "", "where the files of --from were published: `TEXT`, best a URL")
	set.Func("from", "release `FILE`, or a folder of such files, to read in place of downloads (repeatable)",
		func(path string) error {
			f.from = append(f.from, path)
			return nil
		})
	switch err := set.Parse(args); {
	case err != nil:
		return f, err
	case set.NArg() > 0:
		return f, fmt.Errorf("unknown argument %q", set.Arg(0))
	case (len(f.from) > 0) != (f.source != ""):
		return f, errors.New("--from and --source belong together: each row says where its digest is from")
	}
	return f, nil
}

func run(ctx context.Context, args []string, log io.Writer) error {
	f, err := parse(args, log)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(f.table)
	if err != nil {
		return fmt.Errorf("reading the table: %w", err)
	}
	before, err := published.Parse(string(text))
	if err != nil {
		return err
	}
	lines, err := embedded(ctx, f.releases)
	if err != nil {
		return err
	}
	table := newTable(before.Rows, lines)
	var problems error
	if len(f.from) > 0 {
		// What was wrong with a file of the maintainer's must not be written.
		if err := table.addFiles(f.from, f.source, log); err != nil {
			return err
		}
	} else {
		problems = table.download(ctx, log)
	}
	if err := os.WriteFile(f.table, []byte(published.Format(table.rows())), 0o644); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return problems
}

// addFiles reads release files into the table.
func (t *table) addFiles(from []string, source string, log io.Writer) error {
	for _, path := range from {
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			isManifest := file == path || slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(file))
			if err != nil || entry.IsDir() || !isManifest {
				return err
			}
			text, err := os.Open(file)
			if err != nil {
				return err
			}
			defer text.Close()
			rows, err := pinned(text, source)
			if err == nil {
				err = t.known(rows)
			}
			if err == nil {
				err = t.add(rows)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			fmt.Fprintf(log, "%s: %d images of Tekton\n", file, len(rows))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// download reads the release files of all embedded lines into the table. A line that cannot be
// had keeps the rows that it has. The error joins what went wrong.
func (t *table) download(ctx context.Context, log io.Writer) error {
	var problems []error
	for _, l := range t.lines {
		rows, err := fetch(ctx, l.url)
		if err == nil {
			err = l.compare(rows)
		}
		if err == nil {
			err = t.add(rows)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s %s: %w: %d of its %d rows are empty",
				l.name, l.version, err, t.empty(l), len(l.images)))
			continue
		}
		fmt.Fprintf(log, "%s %s: %d images of Tekton\n", l.name, l.version, len(rows))
	}
	return errors.Join(problems...)
}

const (
	timeout     = 2 * time.Minute
	maxManifest = 64 << 20
)

func fetch(ctx context.Context, url string) ([]published.Row, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: timeout}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, response.Status)
	}
	rows, err := pinned(io.LimitReader(response.Body, maxManifest), url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return rows, nil
}
