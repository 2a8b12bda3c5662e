package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/display"
)

// The formats that programs read. They print the same value, which is the one of JSON:
//
//   - json and yaml print all of it,
//   - name prints a line for each of its objects or rows,
//   - jsonpath=TEMPLATE prints what a template takes from it, as kubectl does.
//
// kubectl's other formats are left out: a go-template calls methods by names that are known only at
// run time, which makes the program a third larger (see internal/template), and custom-columns
// prints what jsonpath can print. The printers of k8s.io/cli-runtime are not used, since they print
// objects of the API alone.
const (
	asJSON     = "json"
	asYAML     = "yaml"
	asName     = "name"
	asJSONPath = "jsonpath"
)

// Rows are the formats of a result that has objects or rows, besides its own.
var Rows = []string{asJSON, asYAML, asName, asJSONPath}

// Values are the formats of a result that is one value.
var Values = []string{asJSON, asYAML, asJSONPath}

// Named is a result whose objects or rows have names.
type Named interface {
	// Names returns a name for each object, such as deployment.apps/web, or row. They have no line
	// ends.
	Names() []string
}

// Output is the flag --output: the format of a command's result.
type Output struct {
	Format  string // without a template
	formats []string
	value   string // of the flag
	path    *jsonpath.JSONPath
}

// Flag adds the flag to a command. The first format is the default.
func (o *Output) Flag(cmd *cobra.Command, of string, formats ...string) {
	o.formats = formats
	o.Format = formats[0]
	o.add(cmd, formats[0], "`FORMAT` of the "+of+": "+oneOf(o.spelled()))
}

// Table adds the flag with the formats of a table.
func (o *Output) Table(cmd *cobra.Command) {
	o.Flag(cmd, "result", append([]string{"table"}, Rows...)...)
}

// Value adds the flag with the formats of one value.
func (o *Output) Value(cmd *cobra.Command, text string) {
	o.Flag(cmd, "result", append([]string{text}, Values...)...)
}

// Report adds the flag to a command that prints its result only on request.
func (o *Output) Report(cmd *cobra.Command) {
	o.formats = append([]string{""}, Rows...)
	o.add(cmd, "", "also print a report to standard output: `FORMAT` "+oneOf(o.spelled()))
}

func (o *Output) add(cmd *cobra.Command, otherwise, usage string) {
	o.value = otherwise
	cmd.Flags().VarP((*outputValue)(o), "output", "o", usage)
	Complete(cmd, "output", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		directive := cobra.ShellCompDirectiveNoFileComp
		if slices.Contains(o.formats, asJSONPath) {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return o.completions(), directive
	})
}

// outputValue is the flag's value.
type outputValue Output

func (v *outputValue) String() string { return v.value }

func (v *outputValue) Type() string { return "string" }

// Set splits the value. Check is what refuses it, so that a verb can choose its exit status.
func (v *outputValue) Set(text string) error {
	v.value = text
	v.Format, _, _ = strings.Cut(text, "=")
	return nil
}

// spelled returns the formats as users write them.
func (o *Output) spelled() []string {
	var list []string
	for _, format := range o.formats {
		if format == asJSONPath {
			format += "=TEMPLATE"
		}
		if format != "" {
			list = append(list, format)
		}
	}
	return list
}

func (o *Output) completions() []cobra.Completion {
	var list []cobra.Completion
	for _, format := range o.spelled() {
		list = append(list, strings.TrimSuffix(format, "TEMPLATE"))
	}
	return list
}

// Check returns an error for an unknown format.
func (o *Output) Check() error {
	format, template, has := strings.Cut(o.value, "=")
	if !slices.Contains(o.formats, format) || has && format != asJSONPath {
		return fmt.Errorf("--output %q is not known: say %s", o.value, oneOf(o.spelled()))
	}
	if format != asJSONPath {
		return nil
	}
	if template == "" {
		return errors.New("--output jsonpath has no template: write it as -o jsonpath='{.field}'")
	}
	o.path = jsonpath.New("output").AllowMissingKeys(true)
	if err := o.path.Parse(template); err != nil {
		return fmt.Errorf("reading the template of --output: %w", err)
	}
	return nil
}

// ForPrograms reports whether the result is printed in a format that programs read.
func (o *Output) ForPrograms() bool { return slices.Contains(Rows, o.Format) }

// JSON reports whether the result is printed as JSON.
func (o *Output) JSON() bool { return o.Format == asJSON }

// Print prints a result: the value in a format that programs read, or else the text.
func (o *Output) Print(out io.Writer, value any, text func(io.Writer) error) error {
	switch o.Format {
	case asJSON:
		return display.JSON(out, value)
	case asYAML:
		return printYAML(out, value)
	case asName:
		return printNames(out, value)
	case asJSONPath:
		return o.printPath(out, value)
	}
	return text(ForUsers(out))
}

// Each prints the values of a stream one after another: JSON has a line for each, YAML a document. What a
// template prints ends with a new line, also if the template does not.
func (o *Output) Each(out io.Writer, value any) error {
	switch o.Format {
	case asJSON:
		return json.NewEncoder(out).Encode(value)
	case asYAML:
		if _, err := io.WriteString(out, "---\n"); err != nil {
			return err
		}
	case asJSONPath:
		var line bytes.Buffer
		if err := o.printPath(&line, value); err != nil {
			return err
		}
		if !bytes.HasSuffix(line.Bytes(), []byte("\n")) {
			line.WriteByte('\n')
		}
		_, err := line.WriteTo(out)
		return err
	}
	return o.Print(out, value, func(io.Writer) error { return nil })
}

func printYAML(out io.Writer, value any) error {
	text, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	_, err = out.Write(text)
	return err
}

func printNames(out io.Writer, value any) error {
	named, ok := value.(Named)
	if !ok {
		return errors.New("the result has no names: choose another --output")
	}
	var text strings.Builder
	for _, name := range named.Names() {
		text.WriteString(name + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// printPath prints what the template takes from the value.
func (o *Output) printPath(out io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	var fields any
	if err := utiljson.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	var printed bytes.Buffer
	if err := o.path.Execute(&printed, fields); err != nil {
		return fmt.Errorf("filling in the template of --output: %w", err)
	}
	_, err = printed.WriteTo(out)
	return err
}

// Fail prints an error that takes the place of a result as JSON or YAML, if that is the format, so
// that a program that reads the result finds the reason there. It returns the error.
func (o *Output) Fail(out io.Writer, err error) error {
	if err == nil || o.Format != asJSON && o.Format != asYAML {
		return err
	}
	printed := o.Print(out, struct {
		Error string `json:"error"`
	}{err.Error()}, nil)
	if printed != nil {
		return errors.Join(err, printed)
	}
	return err
}

func oneOf(list []string) string {
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// ObjectName returns the name that kubectl prints for an object with -o name, such as
// deployment.apps/web.
func ObjectName(apiVersion, kind, name string) string {
	resource := strings.ToLower(kind)
	if group, _, has := strings.Cut(apiVersion, "/"); has {
		resource += "." + group
	}
	return resource + "/" + name
}
