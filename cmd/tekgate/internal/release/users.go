package release

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// NonRoot reports whether the release, with the declared settings, demands that the containers that
// Tekton adds to Pods do not run as root.
func (l *Loaded) NonRoot() (bool, error) {
	objects, _, err := l.settled()
	if err != nil {
		return false, err
	}
	flags := manifest.Settings(objects, "feature-flags")
	return flags != nil && l.setsSecurityContext(installer.ConfigData(flags)), nil
}

func (l *Loaded) setsSecurityContext(flags map[string]string) bool {
	return manifest.SetsSecurityContext(flags, installer.VersionsOf(l.Objects).Pipeline)
}

// nonRootIn is NonRoot as it will be in a cluster, where the user may have changed the flag. It is
// false if the cluster gives these containers a user.
func (l *Loaded) nonRootIn(
	ctx context.Context, cluster *installer.Cluster, previous []*unstructured.Unstructured,
) (bool, error) {
	objects, declared, err := l.settled()
	if err != nil {
		return false, err
	}
	merging := installer.Merging{Declared: declared, Previous: previous}
	flags := manifest.Settings(objects, "feature-flags")
	if flags == nil {
		return false, nil
	}
	data, err := cluster.MergedData(ctx, flags, manifest.SecurityContextFlag, merging)
	if err != nil || !l.setsSecurityContext(data) {
		return false, err
	}
	if assigns, err := cluster.AssignsUsers(); err != nil || assigns {
		return false, err
	}
	defaults := manifest.Settings(objects, "config-defaults")
	if defaults == nil {
		return true, nil
	}
	data, err = cluster.MergedData(ctx, defaults, "default-pod-template", merging)
	if uid, ok := manifest.UserOfPods(data); ok && uid != 0 {
		return false, err
	}
	return true, err
}

// CheckUsers reads the users of the injected images among results, and fails the images that the
// kubelet does not start without root. It is for releases and clusters where set-security-context is
// on. Where the flag is off nothing fails, so no user is read: that costs requests.
//
// Such an image is fatal and no warning, because every run that needs it hangs until its timeout: its
// Pod stays in CreateContainerConfigError. Images of flags that this program does not know are
// reported by a warning: Tekton may use them elsewhere.
func (l *Loaded) CheckUsers(ctx context.Context, results []registry.Result, platforms []string) {
	uses := l.injected()
	var chosen []*registry.Result
	var refs []image.Reference
	for i := range results {
		r := &results[i]
		if _, ok := uses[r.Image.From]; ok && r.Status == registry.StatusOK {
			chosen, refs = append(chosen, r), append(refs, r.Image.To)
		}
	}
	users, errs := registry.Users(ctx, refs, platforms, l.registries)
	for i, r := range chosen {
		r.Users = users[i]
		if errs[i] != nil {
			r.Warnings = append(r.Warnings, errs[i].Error())
		}
		judgeUsers(r, uses[r.Image.From])
	}
}

// injected returns the images that Tekton adds to Pods, by their source.
func (l *Loaded) injected() map[image.Reference]manifest.Injected {
	uses := map[image.Reference]manifest.Injected{}
	for _, use := range manifest.InjectedImages(l.Objects) {
		if found, err := l.image(use.Image); err == nil && len(found.Candidates) > 0 {
			uses[found.From()] = use
		}
	}
	return uses
}

func judgeUsers(r *registry.Result, use manifest.Injected) {
	err := use.Refused(r.Users)
	if err == nil {
		return
	}
	remedy := fmt.Sprintf("name an image with a numeric user other than 0 for %s under mirror.images, or set %s to "+
		`"false" in the ConfigMap feature-flags`, r.Image.From.Repository(), manifest.SecurityContextFlag)
	if use.Known {
		r.RunsAsRoot(err, remedy)
		return
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %v: %s", r.Image.To, err, remedy))
}
