package mutator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/mutator"
)

// TestCABundleConfig holds what is refused, and that a configuration without the section
// keeps its hash.
func TestCABundleConfig(t *testing.T) {
	for name, c := range map[string]struct {
		bundle mutator.CABundle
		want   string
	}{
		"right":   {mutator.CABundle{ConfigMap: "tekgate-ca", Key: "all.pem"}, ""},
		"no name": {mutator.CABundle{ConfigMap: "Tekgate CA"}, `caBundle.configMap: "Tekgate CA" is not a name`},
		"no key":  {mutator.CABundle{ConfigMap: "a", Key: "a/b"}, `caBundle.key: "a/b" is not a key`},
		"bad pattern": {
			mutator.CABundle{ConfigMap: "a", Steps: mutator.Steps{Names: []string{"["}}}, `caBundle.steps.names[0]`,
		},
	} {
		config := mutator.Default()
		config.CABundle = c.bundle
		err := config.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	text, err := json.Marshal(mutator.Default())
	if err != nil || strings.Contains(string(text), "caBundle") {
		t.Errorf("the default is %s, error %v", text, err)
	}
}
