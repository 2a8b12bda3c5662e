package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// LockFile is where the lock lies unless one says otherwise.
const LockFile = "tekgate.lock"

const lockKind = "Lock"

// Lock records which digest each image with policy relock has on the mirror,
// and why that is the same image.
type Lock struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Images     []Locked `json:"images"`
}

// Locked is one image of a Lock.
type Locked struct {
	// From is the image in the manifests, To the one on the mirror, tag and
	// digest included.
	From string `json:"from"`
	To   string `json:"to"`
	Rule string `json:"rule"`
	// Proof says what was found equal: "published", the digest itself, to the one that Tekton
	// published; "config", the digests of the
	// configurations, hence all of an image but its manifest; "diffIDs", the
	// layers' uncompressed contents; "none", for another image that the rule
	// names, or one whose source nobody could ask.
	Proof string `json:"proof"`
	// Platforms are the identities on the mirror.
	Platforms []Identity `json:"platforms"`
}

// Identity is what stays the same however an image was moved.
type Identity struct {
	// Platform is such as "linux/amd64", and for Windows "windows/amd64:10.0.…".
	Platform string   `json:"platform"`
	Config   string   `json:"config"`
	DiffIDs  []string `json:"diffIDs"`
}

// What Locked.Proof may say.
const (
	ProofPublished = "published"
	ProofConfig    = "config"
	ProofDiffIDs   = "diffIDs"
	ProofNone      = "none"
)

// ReadLock reads a lock file.
func ReadLock(path string) (*Lock, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the lock file: %w", err)
	}
	lock := &Lock{}
	if err := strict.UnmarshalJSON(text, lock); err != nil {
		return nil, fmt.Errorf("reading the lock file %s: %w", path, err)
	}
	if lock.APIVersion != wellknown.APIVersion || lock.Kind != lockKind {
		return nil, fmt.Errorf(
			"reading the lock file %s: it is no lock of this version: write it anew with `tekgate images lock`", path)
	}
	return lock, nil
}

// Write writes the lock file.
func (l *Lock) Write(path string) error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}

// Apply returns rules that pin what the lock says. Lines for images whose rule
// asks for no lock are passed over; one that locks an image elsewhere than where
// the rules lead is an error.
func (l *Lock) Apply(rules *image.Rules) (*image.Rules, error) {
	var choices []image.Rewritten
	var problems []error
	for _, locked := range l.Images {
		choice, err := locked.choice(rules)
		switch {
		case err != nil:
			problems = append(problems, err)
		case choice != nil:
			choices = append(choices, *choice)
		}
	}
	return rules.Choose(choices...), errors.Join(problems...)
}

// choice is what the line pins; nil where nothing asks for it.
func (l Locked) choice(rules *image.Rules) (*image.Rewritten, error) {
	from, err := image.Parse(l.From)
	if err != nil {
		return nil, fmt.Errorf("the lock: %w", err)
	}
	to, err := image.Parse(l.To)
	if err != nil || to.Digest == "" {
		return nil, fmt.Errorf(
			"the lock: %s is locked to %q, which has no digest: write the lock anew with `tekgate images lock`", l.From,
			l.To)
	}
	candidates, err := rules.Candidates(from)
	var unmirrored *image.UnmirroredError
	if err != nil && !errors.As(err, &unmirrored) {
		return nil, fmt.Errorf("the lock: %w", err)
	}
	if !slices.ContainsFunc(candidates, func(c image.Rewritten) bool { return c.Relock }) {
		return nil, nil // the rules are for other images, or ask for no lock
	}
	for _, c := range candidates {
		if c.Relock && c.To.Repository() == to.Repository() && c.To.Tag == to.Tag {
			choice := pinned(c, to.Digest)
			return &choice, nil
		}
	}
	return nil, fmt.Errorf(
		"the lock says that %s is %s, and the mirror's rules say %s: write the lock anew with `tekgate images lock`",
		from, l.To, candidates[0].To)
}

func pinned(c image.Rewritten, digest string) image.Rewritten {
	c.To.Digest = digest
	c.Relock, c.DigestDropped = false, false
	return c
}

// RelockRequest says what is locked.
type RelockRequest struct {
	// Images are the candidates of each image; those without policy relock are
	// passed over.
	Images [][]image.Rewritten
	// Platforms are those that have to be there and equal; empty means those
	// that the mirror has.
	Platforms []string
	// Published returns the digest that Tekton published for an image in the manifests, which
	// proves it without its source; nil means none.
	Published image.Lookup
	// Previous proves images whose source cannot be reached; nil means none.
	Previous *Lock
	// Trust accepts an image of which neither source nor Previous knows
	// anything, with proof "none".
	Trust bool
}

// Relock resolves what the mirror has for each image, proves that it is the
// same image as the source's, and returns the lock. The results hold what is
// not right; an image that is not ok is not in the lock.
func Relock(ctx context.Context, request RelockRequest, options Options) (*Lock, []Result, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, nil, err
	}
	images := slices.DeleteFunc(slices.Clone(request.Images),
		func(candidates []image.Rewritten) bool { return !candidates[0].Relock })
	results := make([]Result, len(images))
	locked := make([]*Locked, len(images))
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, candidates := range images {
		group.Go(func() error {
			results[i], locked[i] = c.relock(ctx, candidates, request)
			return nil
		})
	}
	_ = group.Wait()
	lock := &Lock{APIVersion: wellknown.APIVersion, Kind: lockKind, Images: []Locked{}}
	for _, l := range locked {
		if l != nil {
			lock.Images = append(lock.Images, *l)
		}
	}
	return lock, results, nil
}

func (c *client) relock(ctx context.Context, candidates []image.Rewritten, request RelockRequest) (Result, *Locked) {
	result := c.choose(ctx, candidates, request.Platforms)
	if result.Status != StatusOK {
		return result, nil
	}
	done := result.Image
	result.Image = pinned(done, result.Digest)
	here, err := c.identities(ctx, result.Image.To)
	if err != nil {
		result.fail(statusOf(err), err)
		return result, nil
	}
	if request.published(done.From, result.Digest) {
		return result, locked(result.Image, done, ProofPublished, here)
	}
	proof, err := c.prove(ctx, done, here, request)
	if err != nil {
		result.fail(StatusWrongDigest, err)
		result.Remedy = "fill the mirror with `tekgate images copy`, or name the image that it should be under mirror.images"
		if errors.Is(err, errUnproven) {
			result.Remedy = "lock where the source can be reached and carry the lock file over, or accept the mirror's word with --trust"
		}
		return result, nil
	}
	return result, locked(result.Image, done, proof, here)
}

func locked(to, done image.Rewritten, proof string, here []Identity) *Locked {
	return &Locked{From: done.From.String(), To: to.To.String(), Rule: done.Rule, Proof: proof, Platforms: here}
}

// published reports whether a digest is the one that Tekton published for an image.
func (r RelockRequest) published(from image.Reference, digest string) bool {
	if r.Published == nil {
		return false
	}
	published, ok := r.Published(from)
	return ok && published == digest
}

// errUnproven says that nobody could be asked what an image should be.
var errUnproven = errors.New("nobody could be asked whether it is the same image")

// prove compares what the mirror has with the source, or with what an earlier
// lock recorded of it.
func (c *client) prove(ctx context.Context, done image.Rewritten, here []Identity,
	request RelockRequest) (string, error) {
	if done.Other {
		return ProofNone, nil
	}
	var problems []error
	for _, source := range (Transfer{Image: done}).sources() {
		there, err := c.identities(ctx, source)
		if err == nil {
			return same(here, there, request.Platforms)
		}
		problems = append(problems, fetchError{source: source, cause: err})
	}
	if request.Previous != nil {
		i := slices.IndexFunc(request.Previous.Images, func(l Locked) bool {
			return l.From == done.From.String() && l.Proof != ProofNone
		})
		if i >= 0 {
			return same(here, request.Previous.Images[i].Platforms, request.Platforms)
		}
	}
	if request.Trust {
		return ProofNone, nil
	}
	return "", fmt.Errorf("%w: %w", errUnproven, fetchErrors(problems))
}

// withoutVersion returns the platform without the version of Windows.
func (i Identity) withoutVersion() string {
	platform, _, _ := strings.Cut(i.Platform, ":")
	return platform
}

// same says what makes two images one. Only platforms that the mirror has are
// compared, and only the wanted ones where any are named.
func same(here, there []Identity, wanted []string) (string, error) {
	proof, compared := ProofConfig, 0
	var named []string
	for _, h := range here {
		named = append(named, h.withoutVersion())
	}
	pulled := pulledForAny(wanted, named)
	for _, h := range here {
		if len(wanted) > 0 && !slices.Contains(pulled, h.withoutVersion()) {
			continue
		}
		i := slices.IndexFunc(there, func(t Identity) bool { return t.Platform == h.Platform })
		switch {
		case i < 0:
			return "", fmt.Errorf("the source has no %s, so that this is another image", h.Platform)
		case there[i].Config == h.Config:
		case slices.Equal(there[i].DiffIDs, h.DiffIDs):
			proof = ProofDiffIDs
		default:
			return "", fmt.Errorf("its layers for %s are not the source's: it is another image", h.Platform)
		}
		compared++
	}
	if compared == 0 {
		return "", errors.New("no platform of it could be compared")
	}
	return proof, nil
}

// identities reads what an image is on each of its platforms.
func (c *client) identities(ctx context.Context, ref image.Reference) ([]Identity, error) {
	var ids []Identity
	err := c.eachManifest(ctx, ref, func(members []ocispec.Descriptor) []ocispec.Descriptor {
		return slices.DeleteFunc(slices.Clone(members), func(d ocispec.Descriptor) bool {
			return !slices.Contains(manifestTypes, d.MediaType) || isAttestation(d)
		})
	}, func(r *repository, m manifest, member *ocispec.Descriptor) error {
		id, err := identity(ctx, r, m)
		if member != nil && member.Platform != nil { // otherwise the configuration says it
			id.Platform = exactPlatform(*member.Platform)
		}
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// eachManifest reads the manifest of an image, or of those members of an index that choose
// returns, and calls visit for each. member is nil for an image that is no index.
func (c *client) eachManifest(
	ctx context.Context, ref image.Reference, choose func(members []ocispec.Descriptor) []ocispec.Descriptor,
	visit func(r *repository, m manifest, member *ocispec.Descriptor) error,
) error {
	r, err := c.repository(ctx, ref)
	if err != nil {
		return err
	}
	root, err := r.get(ctx, reference(ref))
	if err != nil {
		return err
	}
	if !root.isIndex() {
		return visit(r, root, nil)
	}
	index, err := root.index()
	if err != nil {
		return err
	}
	for _, member := range choose(index.Manifests) {
		m, err := r.get(ctx, member.Digest.String())
		if err != nil {
			return childError{child: member, cause: err}
		}
		if err := visit(r, m, &member); err != nil {
			return err
		}
	}
	return nil
}

// exactPlatform includes the version of Windows, of which an index has several.
func exactPlatform(p ocispec.Platform) string {
	if p.OSVersion == "" {
		return platformName(p)
	}
	return platformName(p) + ":" + p.OSVersion
}

func identity(ctx context.Context, r *repository, m manifest) (Identity, error) {
	n, err := parse(m)
	if err != nil {
		return Identity{}, err
	}
	config, err := configOf(ctx, r, m)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Platform: exactPlatform(config.Platform), Config: n.config().Digest.String()}
	for _, d := range config.RootFS.DiffIDs {
		id.DiffIDs = append(id.DiffIDs, d.String())
	}
	return id, nil
}
