package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
)

// Status says in a word how an image stands on its mirror.
type Status string

// What a probe finds.
const (
	StatusOK              Status = "ok"
	StatusWrongDigest     Status = "wrong digest"
	StatusMissingPlatform Status = "missing platform"
	StatusMissing         Status = "missing"
	// StatusIncomplete is an image of which the registry lacks something that a pull needs: the
	// manifest, the configuration or a layer of a wanted platform.
	StatusIncomplete Status = "incomplete"
	// StatusUnsigned is an image that nodes can pull, without a signature of a wanted signer.
	StatusUnsigned Status = "not signed"
	// StatusUnusable is an image whose manifest no node uses: its bytes do not have the digest or the
	// size that the registry says, or the media type is not that of an image.
	StatusUnusable Status = "unusable"
	// StatusWrongUser is an image that nodes can pull, whose containers must not be root and are.
	StatusWrongUser   Status = "wrong user"
	StatusDenied      Status = "denied"
	StatusUnreachable Status = "unreachable"
	// StatusUnneeded is an image for Windows alone where no Windows node was
	// asked for: Tekton wants it named, and nothing pulls it.
	StatusUnneeded Status = "not needed"
)

// Fatal reports whether a pull would fail, or give something else.
func (s Status) Fatal() bool { return s != StatusOK && s != StatusUnneeded }

// ProbeRequest says what is looked for.
type ProbeRequest struct {
	// Images are the candidates of each image, best first, as
	// image.Rules.Candidates returns them.
	Images [][]image.Rewritten
	// Platforms are those that every image has to be there for, such as
	// "linux/arm64": those of the cluster's nodes. Empty asks for none.
	Platforms []string
}

// Result is how one image stands.
type Result struct {
	// Image is the first of the candidates that is ok, or else the first of
	// all. It is what image.Rules.Choose wants.
	Image  image.Rewritten `json:"image"`
	Status Status          `json:"status"`
	// Digest is the one found on the mirror, empty where nothing was.
	Digest string `json:"digest,omitempty"`
	// Published is the digest that Tekton published, empty where it is not known. Probe leaves it
	// to Result.ComparePublished.
	Published string `json:"published,omitempty"`
	// Platforms are those found on the mirror, such as "linux/amd64".
	Platforms []string `json:"platforms,omitempty"`
	// Users are those that the image runs as, if they were asked for.
	Users []User `json:"users,omitempty"`
	// SignedBy names whose signature was found, if that was asked for.
	SignedBy string `json:"signedBy,omitempty"`
	// Err says what went wrong, Remedy what to do about it. Both are nothing
	// where the status is ok.
	Err    error  `json:"-"`
	Remedy string `json:"remedy,omitempty"`
	// Warnings say what is wrong with an image that nodes can pull, and who fails on that.
	Warnings []string `json:"warnings,omitempty"`
	// Tried are the candidates that were found wanting before Image.
	Tried []Result `json:"tried,omitempty"`
}

// Probe asks the mirrors for every image, concurrently, and returns a result
// for each in the order of the request. It changes nothing anywhere.
func Probe(ctx context.Context, request ProbeRequest, options Options) []Result {
	results := make([]Result, len(request.Images))
	c, err := newClient(options)
	if err != nil {
		for i, candidates := range request.Images {
			results[i] = failed(candidates[0], err)
		}
		return results
	}
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, candidates := range request.Images {
		group.Go(func() error {
			results[i] = c.choose(ctx, candidates, request.Platforms)
			return nil
		})
	}
	_ = group.Wait()
	return results
}

// Choices returns what was chosen, for image.Rules.Choose.
func Choices(results []Result) []image.Rewritten {
	choices := make([]image.Rewritten, 0, len(results))
	for _, r := range results {
		choices = append(choices, r.Image)
	}
	return choices
}

// choose probes candidates until one is there.
func (c *client) choose(ctx context.Context, candidates []image.Rewritten, platforms []string) Result {
	var tried []Result
	for _, candidate := range candidates {
		result := c.probe(ctx, candidate, platforms)
		if !result.Status.Fatal() {
			result.Tried = tried
			return result
		}
		tried = append(tried, result)
	}
	best := tried[0]
	best.Tried = tried[1:]
	return best
}

func (c *client) probe(ctx context.Context, candidate image.Rewritten, platforms []string) Result {
	result := Result{Image: candidate, Status: StatusOK}
	wanted := func([]string) []string { return platforms }
	if err := c.pullable(ctx, &result, wanted); err != nil {
		result.fail(statusOf(err), err)
	}
	if result.Status.Fatal() && windowsAlone(candidate.From, result.Platforms, platforms) {
		result.Status, result.Remedy, result.Warnings = StatusUnneeded, "", nil
	}
	return result
}

// pullable asks for all that a node asks for to pull an image. wanted returns the nodes' platforms;
// has are those of the image. The error says what a pull would fail on.
func (c *client) pullable(ctx context.Context, result *Result, wanted func(has []string) []string) error {
	to := result.Image.To
	r, root, err := c.find(ctx, to)
	if err != nil {
		return err
	}
	result.Digest = root.Digest.String()
	if result.Platforms, err = platformsOf(ctx, r, root); err != nil {
		return err
	}
	platforms := wanted(result.Platforms)
	if lacking := missingOf(platforms, result.Platforms); len(lacking) > 0 {
		return lackingError{ref: to, has: result.Platforms, lacks: lacking,
			whole: result.Digest == cmp.Or(to.Digest, result.Image.From.Digest)}
	}
	found, err := inspect(ctx, r, root, platforms, (*repository).sendsBlob)
	if err != nil {
		return err
	}
	if !slices.Contains(slices.Concat(indexTypes, manifestTypes), root.served) { // nodes go by HEAD
		found.odd = fmt.Sprintf("GET announces it as %q", root.served)
	}
	result.Warnings = found.warnings(to)
	if len(found.wanted) > 0 {
		return found.wanted
	}
	return nil
}

// warnings say what nodes do not need, and others do.
func (i inspection) warnings(ref image.Reference) (all []string) {
	var images, layers, attestations lacks
	for _, l := range i.other {
		switch {
		case isAttestation(l.of):
			attestations = append(attestations, l)
		case l.what == "layer":
			layers = append(layers, l)
		default:
			images = append(images, l)
		}
	}
	if len(layers) > 0 {
		all = append(all, fmt.Sprintf("%s: %v: nodes of the other platforms can pull it, and it cannot be copied as a "+
			"whole: complete it with `tekgate images copy`", ref, layers))
	}
	if len(images) > 0 {
		all = append(all, fmt.Sprintf("%s: %v: nodes of the other platforms can pull it, but Tekton cannot start a step "+
			"that names it and no command, on any platform, and it cannot be copied as a whole: "+
			"complete it with `tekgate images copy`", ref, images))
	}
	if len(attestations) > 0 {
		all = append(all, fmt.Sprintf("%s: %v: nodes and Tekton do without it, and tools that copy or verify the whole "+
			"image fail", ref, attestations))
	}
	if i.odd != "" {
		all = append(all, fmt.Sprintf("%s: %s: Tekton may not find the command of a step that names it: "+
			"give such a step a command", ref, i.odd))
	}
	return all
}

// windowsAlone reports whether an image is for Windows nodes, and none are
// asked for.
func windowsAlone(from image.Reference, has, wanted []string) bool {
	if len(wanted) == 0 || slices.ContainsFunc(wanted, isWindows) {
		return false
	}
	if len(has) > 0 {
		return !slices.ContainsFunc(has, func(p string) bool { return !isWindows(p) })
	}
	// Tekton's one image from there is the Windows shell, since v0.28.
	return from.Host == "mcr.microsoft.com"
}
