package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

// TestNetworkPolicies fits the shipped NetworkPolicies to a cluster.
func TestNetworkPolicies(t *testing.T) {
	own, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	if err := manifest.AllowAPIServerPorts(own, []int64{443, 16443}); err != nil {
		t.Fatal(err)
	}
	if err := manifest.SetAPIServerCIDRs(own, []string{"10.0.0.1/32"}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, obj := range own {
		if obj.GetKind() != "NetworkPolicy" {
			continue
		}
		seen++
		text, err := json.Marshal(obj.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), `"port":16443`); n != 1 {
			t.Errorf("%s has the port of the API server %d times: %s", obj.GetName(), n, text)
		}
		if n := strings.Count(string(text), `"port":443,`); n != 1 {
			t.Errorf("%s has port 443 %d times: %s", obj.GetName(), n, text)
		}
		limited := strings.Contains(string(text), `"from":[{"ipBlock":{"cidr":"10.0.0.1/32"}}],"ports":[{"port":"https"`)
		if limited != (obj.GetName() == "tekgate-webhook") {
			t.Errorf("%s may be called from elsewhere: %s", obj.GetName(), text)
		}
	}
	if seen != 2 {
		t.Errorf("%d NetworkPolicies were seen", seen)
	}
}
