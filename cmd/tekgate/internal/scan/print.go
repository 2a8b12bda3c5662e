package scan

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// probed is what a registry answered about one image.
type probed struct {
	Status registry.Status `json:"status"`
	Digest string          `json:"digest,omitempty"`
	Error  string          `json:"error,omitempty"`
	Remedy string          `json:"remedy,omitempty"`
	// Warnings say what is wrong with an image that nodes can pull.
	Warnings []string `json:"warnings,omitempty"`
}

// probe asks the registries for what is written and for what would run.
func (s *survey) probe(ctx context.Context, platforms []string, options registry.Options) error {
	var wanted [][]image.Rewritten
	var into []**probed
	ask := func(written string, answer **probed) {
		if ref, err := image.Parse(written); err == nil && written != "" {
			wanted = append(wanted, []image.Rewritten{{From: ref, To: ref}})
			into = append(into, answer)
		}
	}
	for _, i := range s.images {
		if i.State == stateParameter || i.State == stateInvalid {
			continue
		}
		ask(i.written(), &i.Written)
		ask(i.To, &i.Target)
	}
	results := registry.Probe(ctx, registry.ProbeRequest{Images: wanted, Platforms: platforms}, options)
	for n, r := range results {
		answer := &probed{Status: r.Status, Digest: r.Digest, Remedy: r.Remedy, Warnings: r.Warnings}
		if r.Err != nil {
			answer.Error = r.Err.Error()
		}
		*into[n] = answer
	}
	return ctx.Err()
}

// written is the image that stands there, with the defaults of its parameters.
func (i *scanned) written() string {
	if i.Default != "" {
		return i.Default
	}
	return i.Image
}

// runs is what a registry said of the image that would run, nil if none was asked.
func (i *scanned) runs() *probed {
	if i.State == stateMirrored || i.State == stateResolved || i.State == stateInstalled {
		return i.Target
	}
	return i.Written
}

// unreachable tells whether what would run cannot be pulled, as far as is known:
// a registry knows better than the rules.
func (i *scanned) unreachable() bool {
	if answer := i.runs(); answer != nil {
		return answer.Status.Fatal()
	}
	return i.State == stateNoRule || i.State == stateLeft || i.State == stateInvalid
}

func (s *survey) unreachable() int {
	bad := 0
	for _, i := range s.images {
		if i.unreachable() {
			bad++
		}
	}
	return bad
}

// summary is one line for people.
func (s *survey) summary() string {
	count := map[string]int{}
	dropped, flawed, warned := 0, 0, ""
	for _, i := range s.images {
		count[i.State]++
		if answer := i.runs(); answer != nil && len(answer.Warnings) > 0 {
			flawed++
		}
		if i.Digest == "dropped" {
			dropped++
		}
	}
	var parts []string
	for _, state := range scanStates {
		if count[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[state], state))
		}
	}
	if dropped > 0 {
		parts = append(parts, fmt.Sprintf("%d lose their digest", dropped))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%d objects, no image", s.objects)
	}
	if flawed > 0 {
		warned = fmt.Sprintf("; %d with a warning", flawed)
	}
	return fmt.Sprintf("%d objects, %d images: %s; %d out of reach%s", s.objects, len(s.images),
		strings.Join(parts, ", "), s.unreachable(), warned)
}

// scanReport is what machines get.
type scanReport struct {
	Objects     int           `json:"objects"`
	Unreachable int           `json:"unreachable"`
	Images      []scannedJSON `json:"images"`
}

// Names returns the images.
func (r scanReport) Names() []string {
	names := make([]string, 0, len(r.Images))
	for _, i := range r.Images {
		names = append(names, i.Image)
	}
	return names
}

type scannedJSON struct {
	scanned
	Unreachable bool `json:"unreachable"`
}

func (s *survey) report() scanReport {
	report := scanReport{Objects: s.objects, Unreachable: s.unreachable(), Images: []scannedJSON{}}
	for _, i := range s.sorted() {
		report.Images = append(report.Images, scannedJSON{*i, i.unreachable()})
	}
	return report
}

// sorted puts the images by their names.
func (s *survey) sorted() []*scanned {
	images := slices.Clone(s.images)
	slices.SortStableFunc(images, func(a, b *scanned) int { return strings.Compare(a.Image, b.Image) })
	return images
}

// table prints a line for each image, and below what is to be known about some.
func (s *survey) table(out io.Writer) error {
	images := s.sorted()
	if len(images) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tIMAGE\tBECOMES\tSTANDS IN")
	for _, i := range images {
		becomes := "-"
		if i.State == stateMirrored || i.State == stateResolved || i.State == stateInstalled {
			becomes = i.To
		}
		at := make([]string, 0, len(i.Places))
		for _, p := range i.Places {
			at = append(at, p.String())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.State, registry.Short(i.Image), registry.Short(becomes), andMore(at))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printRemarks(out, images)
}

// printRemarks says once what is to be said of several images.
func printRemarks(out io.Writer, images []*scanned) error {
	var order []string
	about := map[string][]string{}
	for _, i := range images {
		for _, remark := range i.remarks() {
			if about[remark] == nil {
				order = append(order, remark)
			}
			about[remark] = append(about[remark], registry.Short(i.Image))
		}
	}
	for _, remark := range order {
		if _, err := fmt.Fprintf(out, "%s: %s\n", andMore(about[remark]), remark); err != nil {
			return err
		}
	}
	return nil
}

// andMore names the first of a list.
func andMore(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return fmt.Sprintf("%s (and %d more)", list[0], len(list)-1)
}

// remarks are what people should know about an image, a sentence each.
func (i *scanned) remarks() []string {
	var remarks []string
	if origin := i.ofTekton(); origin != "" {
		remarks = append(remarks, origin)
	}
	if i.Default != "" {
		remarks = append(remarks, fmt.Sprintf("by default it is %s", i.Default))
	}
	if i.Why != "" && i.State != stateStays {
		remarks = append(remarks, i.Why)
	}
	if i.Digest == "dropped" {
		remarks = append(remarks,
			fmt.Sprintf("it loses its digest (%s): what the mirror holds under the tag is what runs", i.Rule))
	}
	if answer := i.runs(); answer != nil {
		remarks = append(remarks, answer.Warnings...)
	}
	if i.Written != nil && i.Written.Status.Fatal() {
		remarks = append(remarks,
			fmt.Sprintf("as it is written: %s (%s): %s", i.Written.Status, i.Written.Error, i.Written.Remedy))
	}
	if i.Target != nil && i.Target.Status.Fatal() {
		remarks = append(remarks,
			fmt.Sprintf("on the mirror: %s (%s): %s", i.Target.Status, i.Target.Error, i.Target.Remedy))
	}
	return remarks
}
