package release

import (
	"fmt"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Recorded returns a release of the inventory as the installer's argument. Its objects
// were rendered by the install that recorded them.
func Recorded(recorded *installer.Recorded) (installer.Release, error) {
	release := installer.Release{Objects: recorded.Objects, Versions: recorded.Versions, Parts: recorded.Parts}
	for _, obj := range recorded.Objects {
		if !manifest.IsTekgateConfig(obj) {
			continue
		}
		c, err := config.Parse([]byte(installer.ConfigData(obj)[wellknown.ConfigMapKey]))
		if err != nil {
			// Another version of Tekgate wrote it, and its servers can read it. They keep
			// the conditions, which are open until then.
			release.Notes = append(release.Notes, fmt.Sprintf(
				"this tekgate cannot read the recorded configuration, so the webhooks are asked about all objects at first: %v", err))
			continue
		}
		if release.Conditions, err = c.Conditions(nil); err != nil {
			return release, err
		}
	}
	return release, nil
}
