package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
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
	if s.trustedRoot != "" && !slices.ContainsFunc(parsed, signature.Signer.IsIdentity) {
		return nil, errors.New("--trusted-root says how identities of --signatures are checked: name one with it, as SUBJECT,ISSUER")
	}
	return parsed, nil
}

// signersOf returns the signers that apply to each image. One that applies to no image of the
// release is an error: most often its pattern is misspelt.
func signersOf(all []signature.Signer, images []release.Image, rules *image.Rules) ([][]signature.Signer, error) {
	wanted := make([][]signature.Signer, len(images))
	used := map[string]bool{}
	for i, img := range images {
		wanted[i] = signature.Of(all, img.Written, rules.Upstream(img.Written))
		for _, signer := range wanted[i] {
			used[signer.Text] = true
		}
	}
	for _, signer := range all {
		if !used[signer.Text] {
			return nil, fmt.Errorf("--signatures %s: its pattern matches no image of the release: `tekgate images list` prints "+
				"their names", signer.Text)
		}
	}
	return wanted, nil
}

// checkSignatures says of each image that is right so far who signed it. Images to which no signer
// applies are named to errOut.
func checkSignatures(ctx context.Context, errOut io.Writer, results []registry.Result, wanted [][]signature.Signer,
	options registry.Options) {
	var asked []registry.Result
	var number []int
	var unasked []string
	for i, r := range results {
		switch {
		case r.Status != registry.StatusOK:
		case len(wanted[i]) == 0:
			unasked = append(unasked, r.Image.From.String())
		default:
			asked, number = append(asked, r), append(number, i)
		}
	}
	if len(unasked) > 0 && len(asked) > 0 {
		fmt.Fprintf(errOut, "warning: not checked, since no pattern of --signatures matches them, are the signatures of %s\n",
			strings.Join(unasked, ", "))
	}
	statements, errs := registry.Statements(ctx, asked, options)
	for k, i := range number {
		r := &results[i]
		by, err := signature.Check(wanted[i], r.Digest, statements[k])
		switch {
		case err == nil:
			r.SignedBy = by
		case errs[k] != nil:
			r.Unread(errs[k])
		default:
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
		fmt.Fprintf(errOut, "signed by %s: %d of %d images\n", name, count[name], len(results))
	}
}
