package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

// rows are a result that has names.
type rows struct {
	Rows []row `json:"rows"`
}

type row struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Note  string `json:"note,omitempty"`
}

func (r rows) Names() []string {
	names := make([]string, 0, len(r.Rows))
	for _, one := range r.Rows {
		names = append(names, one.Name)
	}
	return names
}

// printing returns a program whose verb show prints the value in the format of its flag.
func printing(value any, formats ...string) *cobra.Command {
	var output cli.Output
	show := &cobra.Command{Use: "show", RunE: func(cmd *cobra.Command, _ []string) error {
		if err := output.Check(); err != nil {
			return err
		}
		return output.Print(cmd.OutOrStdout(), value, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, "a table: run `tekgate show`")
			return err
		})
	}}
	output.Flag(show, "result", formats...)
	return cli.Root(show)
}

// show runs the verb, and returns what it printed.
func show(t *testing.T, root *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := cli.Run(t.Context(), root, append([]string{"show"}, args...), cli.Streams{Out: &out, ErrOut: io.Discard})
	return out.String(), err
}

func TestPrint(t *testing.T) {
	value := rows{[]row{{"a<b", 9007199254740993, ""}, {"c", 2, "x"}}}
	formats := append([]string{"table"}, cli.Rows...)
	for args, want := range map[string]string{
		"":         "a table: run `tekgate show`\n",
		"-o table": "a table: run `tekgate show`\n",
		"-o yaml":  "rows:\n- count: 9007199254740993\n  name: a<b\n- count: 2\n  name: c\n  note: x\n",
		"-o name":  "a<b\nc\n",
		"-o json": "{\n  \"rows\": [\n    {\n      \"name\": \"a<b\",\n      \"count\": 9007199254740993\n    },\n" +
			"    {\n      \"name\": \"c\",\n      \"count\": 2,\n      \"note\": \"x\"\n    }\n  ]\n}\n",
		"-o jsonpath={.rows[*].name}":                      "a<b c",
		"-o jsonpath={.rows[0].count}":                     "9007199254740993",
		"-o jsonpath={.rows[?(@.name==\"c\")].note}":       "x",
		"--output=jsonpath={.rows[0].none}":                "",
		"-o jsonpath={range.rows[*]}{.name}{\"\\n\"}{end}": "a<b\nc\n",
		"-o jsonpath={.rows[1]}":                           `{"count":2,"name":"c","note":"x"}`,
	} {
		if got, err := show(t, printing(value, formats...), strings.Fields(args)...); err != nil || got != want {
			t.Errorf("%q: got %q, want %q (error %v)", args, got, want, err)
		}
	}
}

// TestPrintRefuses holds that a format that a verb lacks, and a template that cannot be read or filled
// in, is an error, and that nothing is printed then.
func TestPrintRefuses(t *testing.T) {
	all := append([]string{"table"}, cli.Rows...)
	for _, tt := range []struct {
		formats []string
		arg     string
		want    string
	}{
		{all, "wide", `--output "wide" is not known: say table, json, yaml, name or jsonpath=TEMPLATE`},
		{all, "json={.a}", `--output "json={.a}" is not known`},
		{all, "", `--output "" is not known`},
		{all, "jsonpath", "write it as -o jsonpath='{.field}'"},
		{all, "jsonpath=", "write it as -o jsonpath='{.field}'"},
		{all, "jsonpath={.a", "reading the template of --output: unclosed action"},
		{all, "jsonpath={.rows[9].name}", "filling in the template of --output: array index out of bounds"},
		{[]string{"table", "json"}, "jsonpath={.a}", `is not known: say table or json`},
		{[]string{"table", "json"}, "name", `is not known: say table or json`},
	} {
		got, err := show(t, printing(rows{[]row{{}}}, tt.formats...), "-o", tt.arg)
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != "" {
			t.Errorf("-o %q: printed %q, error %v, want %q", tt.arg, got, err, tt.want)
		}
	}
	if _, err := show(t, printing(1, all...), "-o", "name"); err == nil {
		t.Error("a value without names is printed by name")
	}
}

// TestEach holds the form of streams: a line of JSON or a document of YAML for each value.
func TestEach(t *testing.T) {
	for format, want := range map[string]string{
		"json": "{\"rows\":[{\"name\":\"a\",\"count\":1}]}\n{\"rows\":[{\"name\":\"a\",\"count\":1}]}\n",
		"yaml": "---\nrows:\n- count: 1\n  name: a\n---\nrows:\n- count: 1\n  name: a\n",
		"name": "a\na\n", "jsonpath={.rows[0].name}": "a\na\n",
	} {
		var output cli.Output
		var out strings.Builder
		cmd := &cobra.Command{Use: "show"}
		output.Table(cmd)
		if err := errors.Join(cmd.Flags().Set("output", format), output.Check()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := output.Each(&out, rows{[]row{{"a", 1, ""}}}); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != want {
			t.Errorf("%s: got %q, want %q", format, &out, want)
		}
	}
}

// TestFail holds that a program which reads JSON or YAML finds the error there, and that the other
// formats print nothing in its place.
func TestFail(t *testing.T) {
	broken := errors.New("it broke")
	for format, want := range map[string]string{
		"json": "{\n  \"error\": \"it broke\"\n}\n", "yaml": "error: it broke\n", "name": "", "table": "",
		"jsonpath={.error}": "",
	} {
		var output cli.Output
		var out strings.Builder
		cmd := &cobra.Command{Use: "show"}
		output.Table(cmd)
		if err := cmd.Flags().Set("output", format); err != nil {
			t.Fatal(err)
		}
		if err := output.Fail(&out, broken); !errors.Is(err, broken) || out.String() != want {
			t.Errorf("%s: printed %q, want %q (error %v)", format, &out, want, err)
		}
	}
}
