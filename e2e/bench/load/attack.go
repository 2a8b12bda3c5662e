package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Attack is a kind of hostile request.
type Attack struct {
	Name string
	run  func(context.Context, *Target)
}

// Attacks returns all of them.
func Attacks() []Attack {
	return []Attack{{"200 MB body", sendLarge}, {"deep JSON", sendDeep}}
}

// mostAttack is how long one hostile request may take.
const mostAttack = 5 * time.Second

// post sends a body and ignores the answer. The server may close the connection.
func (t *Target) post(ctx context.Context, body io.Reader, length int64) {
	ctx, cancel := context.WithTimeout(ctx, mostAttack)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, body)
	if err != nil {
		return
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/json")
	res, err := t.Caller(false).Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
}

// sendLarge sends 200 MB of white space, with and without a Content-Length.
func sendLarge(ctx context.Context, t *Target) {
	const size = 200 << 20
	for _, length := range []int64{size, -1} {
		t.post(ctx, io.LimitReader(spaces{}, size), length)
	}
}

// spaces is an endless reader of spaces.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// sendDeep sends nested lists, alone and within the review, at depths that decoders refuse
// and at some that they accept.
func sendDeep(ctx context.Context, t *Target) {
	for _, depth := range []int{3 << 20, 100_000, 9_000, 2_000} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		within := strings.Replace(string(t.Review), `"taskSpec":{`, `"taskSpec":{"description":`+nested+`,`, 1)
		for _, body := range []string{nested, within} {
			t.post(ctx, strings.NewReader(body), int64(len(body)))
		}
	}
}

// AttackCommand is the attacker in a process of its own, so that its work does not delay
// the client that is measured. It reads the review from stdin.
func AttackCommand() *cobra.Command {
	var url string
	command := &cobra.Command{
		Use: "attack", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			review, err := io.ReadAll(command.InOrStdin())
			if err != nil {
				return fmt.Errorf("reading the review: %w", err)
			}
			for _, a := range Attacks() {
				if a.Name == args[0] {
					a.run(command.Context(), &Target{URL: url, Review: review})
					return nil
				}
			}
			return fmt.Errorf("there is no attack %q", args[0])
		},
	}
	command.Flags().StringVar(&url, "url", "", "`URL` of the handler")
	return command
}

// Attack runs the attacker, and returns when it has ended.
func (t *Target) Attack(ctx context.Context, name string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "attack", name, "--url", t.URL)
	cmd.Stdin = bytes.NewReader(t.Review)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("attacking with %s: %w: %s", name, err, out)
	}
	return nil
}
