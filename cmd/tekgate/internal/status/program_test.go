package status

import (
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/install"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command, install.Command}

// site is a cluster with helpers for this verb.
type site struct{ *clitest.Site }

func newSite(t *testing.T) *site {
	t.Helper()
	c := cluster.Start(t)
	return &site{clitest.NewSite(t, program, c.Config, c.Kubeconfig)}
}
