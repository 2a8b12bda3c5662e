package expressions

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor/provider"
)

// TestGitExtensions holds that the rules know exactly the extensions that Tekgate's interceptor sets.
func TestGitExtensions(t *testing.T) {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[provider.Git]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	if !slices.Equal(names, gitExtensions) {
		t.Errorf("the interceptor sets\n%q\nand the rules know\n%q", names, gitExtensions)
	}
}
