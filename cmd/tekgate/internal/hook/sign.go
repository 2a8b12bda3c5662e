package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

func signCommand() *cobra.Command {
	var (
		h      hook
		o      outgoing
		output cli.Output
	)
	cmd := &cobra.Command{
		Use:   "sign",
		Short: "Print the headers that a forge would send with a payload",
		Long: `Print, a line each, the headers that a forge sends with a payload for a hook that
has this secret: what curl takes as --header @FILE.`,
		Example: `  tekgate hook sign --provider gitee --mode sign --secret-env HOOK_SECRET --body push.json
  tekgate hook sign --trigger build -n ci --body push.json > headers
  curl --header @headers --data-binary @push.json http://el-build.ci.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			s, err := o.sign(cmd.Context(), cli.StreamsOf(cmd), &h)
			if err != nil {
				return err
			}
			err = output.Print(cmd.OutOrStdout(), map[string]any{"header": s.header, "query": s.query},
				func(out io.Writer) error {
					printHeader(out, s.header)
					return nil
				})
			if err != nil || output.ForPrograms() {
				return err
			}
			if s.query != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "and the hook's URL ends with ?%s\n", s.query)
			}
			return nil
		},
	}
	h.flags(cmd)
	o.flags(cmd)
	output.Value(cmd, "table")
	return cmd
}

// outgoing is a delivery that is about to be made.
type outgoing struct {
	body, event, id, at string
}

func (o *outgoing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.body, "body", "", "`FILE` with the payload; - for standard input")
	f.StringVar(&o.event, "event", "", "`NAME` of the event (default: a push)")
	f.StringVar(&o.id, "delivery-id", "", "`ID` of the delivery, for forges that send one")
	f.StringVar(&o.at, "time", "", "`TIME` of signing, such as 2026-08-01T12:00:00Z (default: now)")
}

// signed is a delivery, ready to be sent.
type signed struct {
	params map[string]any
	header http.Header
	query  string
	body   []byte
}

func (o *outgoing) sign(ctx context.Context, streams cli.Streams, h *hook) (*signed, error) {
	if o.body == "" {
		return nil, errors.New("--body is missing: name the file with the payload")
	}
	if o.body == "-" && h.secretFile == "-" {
		return nil, errors.New("--body and --secret-file cannot both be standard input")
	}
	at, err := parseTime(o.at)
	if err != nil {
		return nil, err
	}
	body, err := readPayload(streams, o.body)
	if err != nil {
		return nil, err
	}
	params, err := h.params(ctx, streams)
	if err != nil {
		return nil, err
	}
	secrets, err := h.secrets(ctx, streams, params)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	made, err := interceptor.Sign(raw, trimNewline(secrets[0]),
		provider.Outgoing{Event: o.event, Body: body, Time: at, ID: o.id})
	if err != nil {
		return nil, err
	}
	if made.Header.Get("Content-Type") == "" {
		made.Header.Set("Content-Type", "application/json")
	}
	return &signed{params: params, header: made.Header, query: made.Query.Encode(), body: body}, nil
}

// trimNewline takes off what the interceptor takes off: an editor's newline, which
// nobody has typed into a forge's form.
func trimNewline(value []byte) []byte {
	trimmed, found := bytes.CutSuffix(value, []byte("\n"))
	if found {
		trimmed = bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	return trimmed
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("reading the time %q: write it like 2026-08-01T12:00:00Z", text)
	}
	return at, nil
}

// maxPayload is more than any forge sends.
const maxPayload = 64 << 20

// readPayload reads a file, or standard input for "-", as it is.
func readPayload(streams cli.Streams, path string) ([]byte, error) {
	in := streams.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the payload: %w", err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("reading the payload from %s: %w", path, err)
	}
	if len(text) > maxPayload {
		return nil, fmt.Errorf("reading the payload from %s: it is larger than %d bytes", path, maxPayload)
	}
	return text, nil
}

func printHeader(out io.Writer, header http.Header) {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			fmt.Fprintf(out, "%s: %s\n", name, value)
		}
	}
}
