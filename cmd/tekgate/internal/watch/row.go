package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/display"
)

// row is what is shown of a run; its JSON is a line of -o json.
type row struct {
	Time      time.Time  `json:"time"` // when it was printed
	Kind      string     `json:"kind"`
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	UID       string     `json:"uid"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"` // Tekton's
	Created   time.Time  `json:"created"`
	Started   *time.Time `json:"started,omitempty"`
	Completed *time.Time `json:"completed,omitempty"`
	Seconds   int64      `json:"seconds"` // the duration until Completed, or until Time
	Cause     *Cause     `json:"cause,omitempty"`
	Why       string     `json:"why,omitempty"` // one sentence, for runs that have not succeeded
}

// newRow returns the row of a run with what was found out about it. Without details, those that
// the run itself has are shown.
func newRow(r *Run, d detail, now time.Time) row {
	if d == (detail{}) {
		d = own(r)
	}
	shown := row{
		Time: now.UTC().Truncate(time.Second), Kind: r.Kind, Namespace: r.Metadata.Namespace, Name: r.Metadata.Name,
		UID: string(r.Metadata.UID), State: r.State(), Reason: r.condition().Reason,
		Created: r.Metadata.CreationTimestamp.UTC(), Seconds: int64(r.duration(now) / time.Second),
		Cause: d.cause, Why: d.why,
	}
	if t := r.Status.StartTime; t != nil {
		started := t.UTC()
		shown.Started = &started
	}
	if t := r.Status.CompletionTime; t != nil {
		completed := t.UTC()
		shown.Completed = &completed
	}
	return shown
}

// short are the names of the kinds that kubectl knows, too.
var short = map[string]string{"PipelineRun": "pr", "TaskRun": "tr"}

// cells returns the texts of a table's row.
func (r *row) cells(withNamespace bool) []string {
	cells := []string{short[r.Kind] + "/" + r.Name, cli.OrDash(r.Cause.String()), r.took(), r.State, r.Why}
	if withNamespace {
		cells = append([]string{r.Namespace}, cells...)
	}
	return cells
}

// headings are the titles of the columns.
func headings(withNamespace bool) []string {
	titles := []string{"RUN", "CAUSE", "DURATION", "STATE", "WHY"}
	if withNamespace {
		titles = append([]string{"NAMESPACE"}, titles...)
	}
	return titles
}

// took is the duration, such as 1h2m3s.
func (r *row) took() string { return (time.Duration(r.Seconds) * time.Second).String() }

// line is the row for a log.
func (r *row) line() string {
	name := r.Namespace + "/" + short[r.Kind] + "/" + r.Name
	text := fmt.Sprintf("%s  %-9s  %s  %s", r.Time.Format(time.RFC3339), r.State, name, r.took())
	if cause := r.Cause.String(); cause != "" {
		text += "  (" + cause + ")"
	}
	if r.Why != "" {
		text += "  " + r.Why
	}
	return text
}

// Cause is the event that started a run.
type Cause struct {
	EventID       string `json:"eventID"`
	EventListener string `json:"eventListener,omitempty"`
	Trigger       string `json:"trigger,omitempty"`

	// These are from the interceptor's record of the delivery.
	Forge      string `json:"forge,omitempty"`
	Event      string `json:"event,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Sender     string `json:"sender,omitempty"`
}

// causeOf returns the cause of a run as far as its labels tell; nil without an event.
func causeOf(r *Run) *Cause {
	l := r.Metadata.Labels
	if l.EventID == "" {
		return nil
	}
	return &Cause{EventID: l.EventID, EventListener: l.Listener, Trigger: l.Trigger}
}

// String returns the cause in a few words, with the shortened commit and event id; it is empty for
// nil.
func (c *Cause) String() string {
	if c == nil {
		return ""
	}
	words := []string{}
	for _, word := range []string{c.Forge, c.Event, cut(c.Commit, 8)} {
		if word != "" {
			words = append(words, word)
		}
	}
	if c.Sender != "" {
		words = append(words, "by "+c.Sender)
	}
	if len(words) == 0 && c.Trigger != "" {
		words = append(words, c.Trigger)
	}
	return display.Printable(strings.Join(append(words, "event "+cut(c.EventID, 8)), " "), ' ')
}

func cut(text string, most int) string { return text[:min(len(text), most)] }

// sortRuns puts the runs that have not ended first, and then the newest.
func sortRuns(runs []*Run) {
	slices.SortFunc(runs, func(a, b *Run) int {
		if a.done() != b.done() {
			if b.done() {
				return -1
			}
			return 1
		}
		return cmp.Or(b.started().Compare(a.started()), cmp.Compare(a.Metadata.Namespace, b.Metadata.Namespace),
			cmp.Compare(a.Metadata.Name, b.Metadata.Name), cmp.Compare(a.Kind, b.Kind))
	})
}

// Names implements cli.Named.
func (r *row) Names() []string { return []string{cli.ObjectName("tekton.dev/v1", r.Kind, r.Name)} }
