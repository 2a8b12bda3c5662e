package hook

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// defaultKaniko is the line of Kaniko that is maintained: the project that published
// gcr.io/kaniko-project/executor was archived in June 2025. It has no digest, since a mirror may
// have another one.
const defaultKaniko = "ghcr.io/osscontainertools/kaniko:v1.28.3"

// clusterTimeout bounds what scaffold asks a cluster for.
const clusterTimeout = 5 * time.Second

// chooseKaniko takes the image that the cluster's configuration has for Kaniko, where no flag names
// one, and says so. Where there is no cluster, or no such image, the default is taken.
func (s *scaffold) chooseKaniko(ctx context.Context, errOut io.Writer) {
	if s.KanikoImage != "" {
		return
	}
	s.KanikoImage = defaultKaniko
	ctx, done := context.WithTimeout(ctx, clusterTimeout)
	defer done()
	name, err := s.clusterKaniko(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(errOut, "Kaniko's image is the default, since the cluster's configuration could not be read: %v\n", err)
	case name != "":
		s.KanikoImage = tagged(name)
		fmt.Fprintf(errOut, "Kaniko's image is that of the cluster's configuration (mutator.kaniko.image): %s\n", plain(s.KanikoImage))
	}
}

// tagged gives a repository, which the rule kaniko combines with the tag of a step's image, the tag of
// the default.
func tagged(name string) string {
	ref, err := image.Parse(name)
	if err != nil || ref.Tag != "" || ref.Digest != "" {
		return name
	}
	_, tag, _ := strings.Cut(defaultKaniko, ":")
	return name + ":" + tag
}

// clusterKaniko returns mutator.kaniko.image of the configuration in the cluster; "" if there is no
// cluster, no Tekgate or no such image.
func (s *scaffold) clusterKaniko(ctx context.Context) (string, error) {
	cluster, err := s.cluster(ctx)
	if err != nil || cluster == nil {
		return "", err
	}
	found, err := cluster.Get(ctx, live.ConfigMap, live.Tekgate, wellknown.ConfigMap)
	if err != nil || found == nil {
		return "", err
	}
	c, err := config.Parse([]byte(installer.ConfigData(found)[wellknown.ConfigMapKey]))
	if err != nil {
		return "", err
	}
	return c.Mutator.Kaniko.Image, nil
}
