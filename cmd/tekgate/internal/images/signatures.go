package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/signature"
)

// signers are the flags that say whose signatures are wanted.
type signers struct {
	wanted      []string
	trustedRoot string
}

func (s *signers) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.wanted, "signatures", nil,
		"check that images are signed by `SIGNER`: the file of a public key, or SUBJECT,ISSUER of a certificate; "+
			"PATTERN=SIGNER for those images alone, such as 'ghcr.io/tektoncd/**=tekton.pub' (repeatable; one of those that apply is enough)")
	cmd.Flags().StringVar(&s.trustedRoot, "trusted-root", "",
		"Sigstore trusted root in `FILE`, by which the certificates of SUBJECT,ISSUER are checked")
}

func (s *signers) parse() ([]signature.Signer, error) {
	var parsed []signature.Signer
	for _, text := range s.wanted {
		signer, err := signature.Parse(text, s.trustedRoot)
		if err != nil {
			return nil, fmt.Errorf("--signatures: %w", err)
		}
		parsed = append(parsed, signer)
	}
	if s.trustedRoot != "" && len(parsed) == 0 {
		return nil, errors.New("--trusted-root says how --signatures is checked: name an identity with it")
	}
	return parsed, nil
}

// checkSignatures says of each image that is right so far who signed it. Images to which no signer
// applies are counted in a line to errOut.
func checkSignatures(ctx context.Context, errOut io.Writer, results []registry.Result, all []signature.Signer,
	options registry.Options) {
	if len(all) == 0 {
		return
	}
	var asked []int
	unasked := 0
	for i, r := range results {
		switch {
		case r.Status != registry.StatusOK:
		case len(signature.Of(all, r.Image.From)) == 0:
			unasked++
		default:
			asked = append(asked, i)
		}
	}
	if unasked > 0 {
		fmt.Fprintf(errOut, "warning: the signatures of %d images were not checked: no pattern of --signatures matches them\n",
			unasked)
	}
	wanted := make([]registry.Result, len(asked))
	for k, i := range asked {
		wanted[k] = results[i]
	}
	statements, errs := registry.Statements(ctx, wanted, options)
	for k, i := range asked {
		r, err := &results[i], errs[k]
		if err == nil {
			r.SignedBy, err = signature.Check(signature.Of(all, r.Image.From), r.Digest, statements[k])
		}
		if err != nil {
			r.Unsigned(err)
		}
	}
	saySigned(errOut, results)
}

// saySigned tells how many images each signer signed.
func saySigned(errOut io.Writer, results []registry.Result) {
	count := map[string]int{}
	var order []string
	for _, r := range results {
		if r.SignedBy == "" {
			continue
		}
		if count[r.SignedBy]++; !slices.Contains(order, r.SignedBy) {
			order = append(order, r.SignedBy)
		}
	}
	for _, name := range order {
		fmt.Fprintf(errOut, "%d images are signed by %s\n", count[name], name)
	}
}
