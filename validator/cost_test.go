package validator_test

import (
	"os/exec"
	"testing"
)

// TestCost doubles each list of each kind's schema and holds that no rule executes a
// function's statements more than 2.3 times as often. Rules that compared each item with
// each let an object pass that none had looked at, since the API server did not wait.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	command := exec.CommandContext(t.Context(), "go", "run", "-cover", "-covermode=atomic",
		"-coverpkg=github.com/tekgate/tekgate/validator/...,github.com/tekgate/tekgate/internal/...,"+
			"github.com/tekgate/tekgate/hack/cost", "../hack/cost")
	command.Env = append(command.Environ(), "GOCOVERDIR="+t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", command.Args, err, out)
	}
	t.Logf("%s", out)
}
