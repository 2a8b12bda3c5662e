package why

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/display"
)

// answer is what is printed about one run.
type answer struct {
	Run diagnosis.Key `json:"run"`
	// State is succeeded, failed, running or not started, and Reason is Tekton's.
	State  string  `json:"state"`
	Reason string  `json:"reason,omitempty"`
	Causes []cause `json:"causes"`
	// NotRead are the parts that could not be read, each with the reason.
	NotRead []string `json:"notRead,omitempty"`
}

// Names implements cli.Named: the run, if a cause was found.
func (a answer) Names() []string {
	if len(a.Causes) == 0 {
		return nil
	}
	return names([]diagnosis.Key{a.Run})
}

func names(runs []diagnosis.Key) []string {
	var all []string
	for _, run := range runs {
		all = append(all, cli.ObjectName("tekton.dev/v1", run.Kind, run.Name))
	}
	return all
}

// cause is a cause with the address of its documentation.
type cause struct {
	diagnosis.Cause
	Hint string `json:"hint"`
}

func withHints(causes []diagnosis.Cause) []cause {
	all := make([]cause, 0, len(causes))
	for _, c := range causes {
		all = append(all, cause{c, c.Hint()})
	}
	return all
}

func (a answer) print(s cli.Streams, output cli.Output) error {
	err := output.Print(s.Out, a, func(out io.Writer) error {
		if len(a.Causes) == 0 {
			fmt.Fprintln(out, a.nothing())
		}
		printCauses(out, a.Causes)
		notRead(s.ErrOut, a.NotRead)
		return nil
	})
	if err == nil && len(a.Causes) > 0 {
		return foundError(cli.Plural(len(a.Causes), "cause") + " found")
	}
	return err
}

// nothing says that no cause is known.
func (a answer) nothing() string {
	if a.State == "succeeded" {
		return fmt.Sprintf("%s succeeded", a.Run)
	}
	text := fmt.Sprintf("%s is %s", a.Run, a.State)
	if a.Reason != "" {
		text += " (" + a.Reason + ")"
	}
	return text + ", and nothing is known to hold it up"
}

// printCauses prints a line for each cause, with the remedy and the hint below it.
func printCauses(out io.Writer, causes []cause) {
	sign := "[fail]"
	if cli.IsTerminal(out) {
		sign = "×"
	}
	for _, c := range causes {
		fmt.Fprintf(out, "%s %s\n    %s\n    see %s\n", sign, c.Cause, c.Remedy, c.Hint)
	}
}

// notRead lists what could not be read.
func notRead(out io.Writer, gaps []string) {
	for _, gap := range gaps {
		fmt.Fprintln(out, "not read:", gap)
	}
}

// groups are the failed runs by their first cause.
type groups struct {
	Failed  int      `json:"failed"`
	Groups  []group  `json:"groups"`
	NotRead []string `json:"notRead,omitempty"`
}

// group is a cause and the runs that it is the first cause of.
type group struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// First is the cause of the first run.
	First cause           `json:"first"`
	Runs  []diagnosis.Key `json:"runs"`
}

// Names implements cli.Named: the runs that failed.
func (g groups) Names() []string {
	var all []string
	for _, group := range g.Groups {
		all = append(all, names(group.Runs)...)
	}
	return all
}

// groupByCause groups runs by their first causes, those with the most runs first.
func groupByCause(runs []diagnosis.Key, causes map[diagnosis.Key][]cause, gaps []string) groups {
	all := groups{Failed: len(runs), Groups: []group{}, NotRead: gaps}
	for _, kind := range diagnosis.Kinds {
		g := group{ID: kind.ID, Title: kind.Title}
		for _, run := range runs {
			if found := causes[run]; len(found) > 0 && found[0].ID == kind.ID {
				if len(g.Runs) == 0 {
					g.First = found[0]
				}
				g.Runs = append(g.Runs, run)
			}
		}
		if len(g.Runs) > 0 {
			all.Groups = append(all.Groups, g)
		}
	}
	slices.SortStableFunc(all.Groups, func(a, b group) int { return len(b.Runs) - len(a.Runs) })
	return all
}

// shownRuns is how many runs of a group are listed for people.
const shownRuns = 10

func (g groups) print(s cli.Streams, o *options) error {
	err := o.output.Print(s.Out, g, func(out io.Writer) error {
		g.text(out, o)
		notRead(s.ErrOut, g.NotRead)
		return nil
	})
	if err == nil && g.Failed > 0 {
		return foundError(cli.Plural(g.Failed, "run") + " failed")
	}
	return err
}

func (g groups) text(out io.Writer, o *options) {
	if g.Failed == 0 {
		fmt.Fprintf(out, "no run failed in the last %s\n", short(o.since))
	}
	for _, group := range g.Groups {
		names := make([]string, 0, len(group.Runs))
		for _, run := range group.Runs {
			names = append(names, run.String())
		}
		fmt.Fprintf(out, "%s: %s: %s\n", cli.Plural(len(group.Runs), "run"), group.ID, group.Title)
		fmt.Fprintf(out, "    %s\n    for example %s\n    %s\n    see %s\n", display.AndMore(names, shownRuns),
			group.First.Cause, group.First.Remedy, group.First.Hint)
	}
}

// short writes a duration as the user does: 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
