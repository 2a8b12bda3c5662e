package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor"
)

func explainCommand() *cobra.Command {
	var (
		h                    hook
		header, body, at, cf string
		output               cli.Output
	)
	cmd := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Say which check a delivery fails and what would make it pass",
		Long: `Judge a delivery that was caught, as the interceptor would, and look for the mistake
where it is refused. FILE (- for standard input) is the request as it was on the
wire, with its headers, an empty line and the body; or JSON with "header" and
"body", as EventListeners send it to interceptors. Or pass --header-file and --body.

Nothing is sent, and no secret is printed. The status is 0 for an event that would
pass, 2 for one that is refused.`,
		Example: `  tekgate hook explain request.txt --provider gitee --mode sign --secret-env HOOK_SECRET
  tekgate hook explain request.json --trigger build -n ci --at 2026-08-01T12:00:00Z`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			c, err := readCapture(cli.StreamsOf(cmd), args, header, body)
			if err != nil {
				return err
			}
			e, err := h.explain(cmd.Context(), cli.StreamsOf(cmd), c, cf, at)
			if err != nil {
				return err
			}
			err = output.Print(cmd.OutOrStdout(), e, func(out io.Writer) error {
				printVerdict(out, e)
				return nil
			})
			if err == nil && !e.Continue {
				err = errRefused
			}
			return err
		},
	}
	h.flags(cmd)
	output.Value(cmd, "table")
	f := cmd.Flags()
	f.StringVar(&header, "header-file", "", "`FILE` with the headers, a line each")
	f.StringVar(&body, "body", "", "`FILE` with the body")
	f.StringVar(&at, "at", "", "judge as of this `TIME`, such as 2026-08-01T12:00:00Z (default: now)")
	f.StringVar(&cf, "config", "", "configuration `FILE`")
	return cmd
}

func (h *hook) explain(
	ctx context.Context, streams cli.Streams, c *capture, configFile, at string,
) (interceptor.Explanation, error) {
	var none interceptor.Explanation
	configuration, err := config.Load(configFile)
	if err != nil {
		return none, err
	}
	now, err := parseTime(at)
	if err != nil {
		return none, err
	}
	params, err := h.params(ctx, streams)
	if err != nil {
		return none, err
	}
	if len(params) == 0 {
		params = c.params
	}
	secrets, err := h.secrets(ctx, streams, params)
	if err != nil {
		return none, err
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return none, err
	}
	return interceptor.Explain(configuration.Interceptor, raw, secrets, c.Capture, now), nil
}

func printVerdict(out io.Writer, e interceptor.Explanation) {
	word := "stop"
	if e.Continue {
		word = "continue"
	}
	fmt.Fprintf(out, "verdict  %s\nreason   %s\n", word, e.Reason)
	if e.Message != "" {
		fmt.Fprintf(out, "answer   %s\n", e.Message)
	}
	for _, hint := range e.Hints {
		fmt.Fprintf(out, "hint     %s\n", hint)
	}
}

// capture is a delivery that was caught, and the params beside it where an
// EventListener's request was.
type capture struct {
	interceptor.Capture
	params map[string]any
}

func readCapture(streams cli.Streams, args []string, header, body string) (*capture, error) {
	switch {
	case len(args) == 1 && header == "" && body == "":
		text, err := readPayload(streams, args[0])
		if err != nil {
			return nil, err
		}
		return parseCapture(text)
	case len(args) == 0 && header != "" && body != "":
		lines, err := readPayload(streams, header)
		if err != nil {
			return nil, err
		}
		text, err := readPayload(streams, body)
		if err != nil {
			return nil, err
		}
		c := &capture{}
		c.Body = string(text)
		c.Header, c.URL, err = parseHeader(lines)
		return c, err
	}
	return nil, errors.New("name the delivery by one FILE, or by both --header-file and --body")
}
