package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints how the images stand, a line for each, and below it what
// is wrong with those that are not right, with the remedy. It is for people;
// a Result marshals to JSON for machines.
func WriteTable(out io.Writer, results []Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tIMAGE\tMIRROR\tPLATFORMS")
	for _, r := range results {
		platforms := strings.Join(r.Platforms, ",")
		if platforms == "" {
			platforms = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Status, Short(r.Image.From.String()), Short(r.Image.To.String()),
			platforms)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, warning := range r.Warnings {
			if _, err := fmt.Fprintf(out, "warning: %s\n", warning); err != nil {
				return err
			}
		}
		if !r.Status.Fatal() {
			continue
		}
		for _, each := range append([]Result{r}, r.Tried...) {
			if _, err := fmt.Fprintf(out, "%s: %v (%s): %s\n", each.Status, each.Err, ruleOf(each),
				each.Remedy); err != nil {
				return err
			}
		}
	}
	return nil
}

func ruleOf(r Result) string {
	if r.Image.Rule == "" {
		return "it stays as it is"
	}
	return r.Image.Rule
}

// Short cuts digests to what people compare.
func Short(reference string) string {
	at := strings.Index(reference, "@sha256:")
	if at < 0 || len(reference) < at+20 {
		return reference
	}
	return reference[:at+20] + "…"
}

// MarshalJSON writes the error as its sentence.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	out := struct {
		plain
		From  string `json:"from"`
		To    string `json:"to"`
		Rule  string `json:"rule,omitempty"`
		Image any    `json:"image,omitempty"`
		Error string `json:"error,omitempty"`
	}{plain: plain(r), From: r.Image.From.String(), To: r.Image.To.String(), Rule: r.Image.Rule}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	return json.Marshal(out)
}
