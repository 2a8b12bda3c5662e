package why

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

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
	var err error
	switch {
	case output.Format != "text":
		err = encode(s.Out, output, a)
	case len(a.Causes) == 0:
		fmt.Fprintln(s.Out, a.nothing())
		notRead(s.ErrOut, a.NotRead)
	default:
		printCauses(s.Out, a.Causes)
		notRead(s.ErrOut, a.NotRead)
	}
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

func encode(out io.Writer, output cli.Output, value any) error {
	if output.JSON() {
		return display.JSON(out, value)
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
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
	if o.output.Format != "text" {
		if err := encode(s.Out, o.output, g); err != nil {
			return err
		}
	} else {
		g.text(s, o)
	}
	if g.Failed > 0 {
		return foundError(cli.Plural(g.Failed, "run") + " failed")
	}
	return nil
}

func (g groups) text(s cli.Streams, o *options) {
	if g.Failed == 0 {
		since := strings.TrimSuffix(strings.TrimSuffix(o.since.String(), "0s"), "0m")
		fmt.Fprintf(s.Out, "no run failed in the last %s\n", since)
	}
	for _, group := range g.Groups {
		names := make([]string, 0, len(group.Runs))
		for _, run := range group.Runs {
			names = append(names, run.String())
		}
		fmt.Fprintf(s.Out, "%s: %s: %s\n", cli.Plural(len(group.Runs), "run"), group.ID, group.Title)
		fmt.Fprintf(s.Out, "    %s\n    for example %s\n    %s\n    see %s\n", display.AndMore(names, shownRuns),
			group.First.Cause, group.First.Remedy, group.First.Hint)
	}
	notRead(s.ErrOut, g.NotRead)
}
