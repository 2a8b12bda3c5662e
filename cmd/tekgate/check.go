package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/mutator"
)

func checkCommand() *cobra.Command {
	var (
		k      kube
		wait   time.Duration
		output outputFlag
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the installation works, and if not, why",
		Long: `Ask everything that has to hold for Tekton and Tekgate to work in a cluster:
that their parts run, from the mirror's images; that webhooks are registered,
trusted and answer; that no ClusterInterceptor keeps EventListeners from
starting. Each answer that is no names the object and where to read what to do.

Nothing is written: the server is asked what would become of a TaskRun, and told
not to keep it. The exit status is 1 if anything fatal is wrong.`,
		Example: `  # after an install, until all is up
  tekgate check --wait 5m

  # in a pipeline
  tekgate check -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := k.live()
			if err != nil {
				return err
			}
			return runChecks(cmd, cluster, wait, output)
		},
	}
	k.flags(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to ask again what time alone may mend, such as 5m")
	output.flags(cmd)
	return cmd
}

func (k *kube) live() (*live.Cluster, error) {
	c, err := k.restConfig()
	if err != nil {
		return nil, err
	}
	return live.Connect(c)
}

func runChecks(cmd *cobra.Command, cluster *live.Cluster, wait time.Duration, output outputFlag) error {
	if err := output.check(); err != nil {
		return err
	}
	options := check.Options{Parse: parseForChecks, Now: time.Now(), Wait: wait}
	options.Waiting = func(r check.Result) {
		fmt.Fprintf(cmd.ErrOrStderr(), "waiting for %s: %s\n", r.Check.ID, r.Problems[0])
	}
	var results []check.Result
	table := checkTable{out: cmd.OutOrStdout(), signs: signsFor(cmd.OutOrStdout())}
	healthy := check.Run(cmd.Context(), cluster, options, func(r check.Result) {
		results = append(results, r)
		if output == "table" {
			table.row(r)
		}
	})
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("checking: %w", err)
	}
	if output == "json" {
		if err := checkJSON(cmd.OutOrStdout(), results, healthy); err != nil {
			return err
		}
	}
	return unhealthy(results, healthy)
}

func unhealthy(results []check.Result, healthy bool) error {
	if healthy {
		return nil
	}
	failed := 0
	for _, r := range results {
		if r.Status == check.Error {
			failed++
		}
	}
	return fmt.Errorf("%d of %d checks failed", failed, len(results))
}

// parseForChecks reads the configuration as the servers do.
func parseForChecks(text []byte) (*check.Configuration, error) {
	c, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	parsed := &check.Configuration{}
	if !c.Mirror.Empty() {
		if parsed.Mirror, err = c.Mirror.Compile(); err != nil {
			return nil, err
		}
	}
	m, err := mutator.New(c.Mutator, parsed.Mirror, nil)
	if err != nil {
		return nil, fmt.Errorf("mutator.%w", err)
	}
	parsed.Hash = m.Hash()
	return parsed, nil
}

// signs stand before each check.
type signs map[check.Status]string

var (
	terminalSigns = signs{check.Success: "√", check.Warning: "‼", check.Error: "×", check.Skipped: "-"}
	plainSigns    = signs{check.Success: "[ok]  ", check.Warning: "[warn]", check.Error: "[fail]", check.Skipped: "[skip]"}
)

// signsFor keeps to ASCII where nobody knows how the text will be shown.
func signsFor(out io.Writer) signs {
	if file, ok := out.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		return terminalSigns
	}
	return plainSigns
}

// checkTable prints checks as they are answered, under their category.
type checkTable struct {
	out      io.Writer
	signs    signs
	category string
}

func (t *checkTable) row(r check.Result) {
	if r.Check.Category != t.category {
		if t.category != "" {
			fmt.Fprintln(t.out)
		}
		t.category = r.Check.Category
		fmt.Fprintln(t.out, t.category)
	}
	fmt.Fprintf(t.out, "%s %s\n", t.signs[r.Status], r.Check.Title)
	for _, problem := range r.Problems {
		fmt.Fprintf(t.out, "    %s\n", problem)
	}
	if r.Status == check.Warning || r.Status == check.Error {
		fmt.Fprintf(t.out, "    see %s\n", r.Check.Hint())
	}
}

type jsonCheck struct {
	ID       string       `json:"id"`
	Category string       `json:"category"`
	Title    string       `json:"title"`
	Fatal    bool         `json:"fatal"`
	Result   check.Status `json:"result"`
	Problems []string     `json:"problems,omitempty"`
	Hint     string       `json:"hint,omitempty"`
}

func checkJSON(out io.Writer, results []check.Result, healthy bool) error {
	report := struct {
		Success bool        `json:"success"`
		Checks  []jsonCheck `json:"checks"`
	}{Success: healthy, Checks: []jsonCheck{}}
	for _, r := range results {
		c := jsonCheck{ID: r.Check.ID, Category: r.Check.Category, Title: r.Check.Title, Fatal: r.Check.Fatal, Result: r.Status, Problems: r.Problems}
		if r.Status == check.Warning || r.Status == check.Error {
			c.Hint = r.Check.Hint()
		}
		report.Checks = append(report.Checks, c)
	}
	return printJSON(out, report)
}
