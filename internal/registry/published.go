package registry

import (
	"cmp"
	"fmt"

	"github.com/tekgate/tekgate/internal/image"
)

// ComparePublished compares what a mirror serves with the digest that Tekton published. If the
// rule keeps digests and nothing else pins the image, another digest is wrong. In a mirror whose
// rule gives digests up, and if the manifests or the rule pin another one, it is a warning.
func (r *Result) ComparePublished(published string) {
	done := r.Image
	if published == "" || done.Other {
		return // the rule puts another image in its place
	}
	r.Published = published
	own := done.Policy == image.DigestDrop || done.Policy == image.DigestRelock
	pinned := done.From.Digest
	if !own {
		pinned = cmp.Or(pinned, done.To.Digest)
	}
	if pinned != "" && pinned != published {
		r.warn("%s is pinned to %s, and Tekton published %s for it: "+
			"get the release file again, or correct the digest in the mirror's rules", done.From.Repository()+tagOf(done), pinned,
			published)
		return
	}
	if r.Status != StatusOK || r.Digest == published {
		return
	}
	switch {
	case done.DigestDropped: // its digest is compared with that in the manifests
		return
	case own:
		r.warn("%s has digest %s, and Tekton published %s: nothing proves that it is the same image, which a mirror "+
			"that `tekgate images copy` filled with `digest: keep` would", done.To, r.Digest, published)
		return
	}
	r.Status = StatusWrongDigest
	r.Err = fmt.Errorf("looking for %s: it has digest %s there, and Tekton published %s", done.To, r.Digest, published)
	r.Remedy = "fill the mirror with `tekgate images copy --overwrite`, which keeps digests; " +
		"if this mirror has digests of its own, say `digest: relock` or `drop` for this rule"
}

func tagOf(done image.Rewritten) string {
	if done.From.Tag == "" {
		return ""
	}
	return ":" + done.From.Tag
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}
