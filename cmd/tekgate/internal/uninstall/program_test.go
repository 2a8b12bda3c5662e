package uninstall

import (
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/install"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/render"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command, install.Command, render.Command}

func newSite(t *testing.T) *clitest.Site {
	t.Helper()
	c := cluster.Start(t)
	return clitest.NewSite(t, program, c.Config, c.Kubeconfig)
}
