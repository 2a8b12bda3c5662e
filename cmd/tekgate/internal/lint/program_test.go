package lint

import "github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command}
