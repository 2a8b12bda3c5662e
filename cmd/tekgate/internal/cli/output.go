package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/display"
)

// Output is the flag --output: the format of a command's result.
type Output struct {
	Format  string
	formats []string
}

// Flag adds the flag to a command. The first format is the default.
func (o *Output) Flag(cmd *cobra.Command, of string, formats ...string) {
	o.formats = formats
	cmd.Flags().StringVarP(&o.Format, "output", "o", formats[0], "`FORMAT` of the "+of+": "+oneOf(formats))
}

// TableOrJSON adds the flag with the formats of most commands.
func (o *Output) TableOrJSON(cmd *cobra.Command) { o.Flag(cmd, "result", "table", "json") }

// Report adds the flag to a command that prints its result only on request, as JSON.
func (o *Output) Report(cmd *cobra.Command) {
	o.formats = []string{"", "json"}
	cmd.Flags().StringVarP(&o.Format, "output", "o", "", "also print a report to standard output: `FORMAT` json")
}

// Check returns an error for an unknown format.
func (o *Output) Check() error {
	switch {
	case slices.Contains(o.formats, o.Format):
		return nil
	case o.formats[0] == "":
		return fmt.Errorf("-o %q is not known: the one format is json", o.Format)
	}
	return fmt.Errorf("--output %q is not known: say %s", o.Format, oneOf(o.formats))
}

// JSON reports whether the result is printed as JSON.
func (o *Output) JSON() bool { return o.Format == "json" }

// Fail prints an error that takes the place of a result as JSON, if that is the format, so that a
// program that reads the result finds the reason there. It returns the error.
func (o *Output) Fail(out io.Writer, err error) error {
	if err == nil || !o.JSON() {
		return err
	}
	printed := display.JSON(out, struct {
		Error string `json:"error"`
	}{err.Error()})
	if printed != nil {
		return errors.Join(err, printed)
	}
	return err
}

func oneOf(list []string) string {
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
