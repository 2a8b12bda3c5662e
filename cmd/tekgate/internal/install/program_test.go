package install

import (
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/diff"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/images"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/render"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/scan"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/uninstall"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{
	Command, Upgrade, diff.Command, render.Command, images.Command, uninstall.Command, scan.Command,
}

// site is a cluster with helpers for this verb.
type site struct{ *clitest.Site }

func newSiteOn(t *testing.T, c *cluster.Cluster) *site {
	t.Helper()
	return &site{clitest.NewSite(t, program, c.Config, c.Kubeconfig)}
}
