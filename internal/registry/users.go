package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
)

// User is what containers of an image run as where neither Pod nor container names a user.
type User struct {
	Platform string `json:"platform"` // such as linux/amd64
	// Name is the field User of the image's configuration: a name or number, perhaps with a group.
	Name string `json:"name"`
}

// ErrRoot says that an image runs as root.
var ErrRoot = errors.New("it runs as root")

// NonRoot returns nil if the kubelet starts a container that sets runAsNonRoot and no user. It
// demands a user that the image names by a number other than 0: it does not look a name up
// (verifyRunAsNonRoot in pkg/kubelet/kuberuntime/security_context_others.go,
// Kubernetes v1.36).
func (u User) NonRoot() error {
	name, _, _ := strings.Cut(u.Name, ":")
	uid, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name == "", err == nil && uid == 0:
		return ErrRoot
	case err != nil:
		return fmt.Errorf("it names its user %q, and the kubelet accepts a number only", name)
	case uid < 0 || uid > math.MaxInt32:
		return fmt.Errorf("its user %d is not between 1 and %d, as the kubelet demands", uid, math.MaxInt32)
	}
	return nil
}

// Users reads the users of images on the given platforms, or on all platforms if there are none.
// Windows is left out: its users have no numbers. It costs one request for an image's manifest,
// two more for each platform of an index, and one for the configuration of any other image.
// users and errs have an element for each image.
func Users(ctx context.Context, refs []image.Reference, platforms []string, options Options) (users [][]User,
	errs []error) {
	users, errs = make([][]User, len(refs)), make([]error, len(refs))
	c, err := newClient(options)
	if err != nil {
		return users, slices.Repeat([]error{err}, len(refs))
	}
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, ref := range refs {
		group.Go(func() error {
			found, err := c.users(ctx, ref, platforms)
			if err != nil {
				errs[i] = fmt.Errorf("reading the user of %s: %w", ref, plainly(err))
			}
			users[i] = found
			return nil
		})
	}
	_ = group.Wait()
	return users, errs
}

func (c *client) users(ctx context.Context, ref image.Reference, platforms []string) ([]User, error) {
	var all []User
	err := c.eachManifest(ctx, ref, func(members []ocispec.Descriptor) []ocispec.Descriptor {
		wanted := pulled(members, platforms)
		var chosen []ocispec.Descriptor
		for i, member := range members {
			if wanted[i] && (member.Platform == nil || member.Platform.OS != "windows") {
				chosen = append(chosen, member)
			}
		}
		return chosen
	}, func(r *repository, m manifest, member *ocispec.Descriptor) error {
		found, err := userOf(ctx, r, m)
		if err != nil && member != nil {
			return childError{child: *member, cause: err}
		}
		all = append(all, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// userOf reads the user of an image for one platform; none for Windows.
func userOf(ctx context.Context, r *repository, m manifest) ([]User, error) {
	config, err := configOf(ctx, r, m)
	if err != nil || config.OS == "windows" {
		return nil, err
	}
	return []User{{Platform: platformName(config.Platform), Name: config.Config.User}}, nil
}

// RunsAsRoot notes that nodes can pull an image, and that Tekton cannot use it as the cluster is
// configured: see User.NonRoot.
func (r *Result) RunsAsRoot(err error, remedy string) {
	r.Status, r.Err, r.Remedy = StatusWrongUser, fmt.Errorf("%s: %w", r.Image.To, err), remedy
}
