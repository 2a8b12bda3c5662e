package installer

import (
	"slices"

	"github.com/tekgate/tekgate/installer/live"
)

// Adopts reports whether the cluster has a Deployment of the release that something else
// than Tekgate applied, or had one before the first install.
func (p *Plan) Adopts() bool {
	if p.Previous != nil && len(p.Previous.Objects) == 0 && p.Previous.Adopted {
		return true
	}
	return (p.Previous == nil || len(p.Previous.Objects) == 0) &&
		slices.ContainsFunc(p.changes, func(ch *Change) bool {
			return ch.Live != nil && ch.Live.GroupVersionKind() == live.Deployment && !AppliedByTekgate(ch.Live)
		})
}
