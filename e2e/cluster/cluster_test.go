package cluster_test

import (
	"testing"

	"k8s.io/client-go/discovery"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// Tekton's controllers parse the server's version and refuse one that is no
// version, so an unstamped build must not pass.
func TestServerHasAVersion(t *testing.T) {
	c := cluster.Start(t)
	version, err := discovery.NewDiscoveryClientForConfigOrDie(c.Config).ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Major != "1" || version.Minor == "" || version.GitVersion[:3] != "v1." {
		t.Errorf("server says it is %+v", version)
	}
}
