package images

import (
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/render"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command, render.Command}
