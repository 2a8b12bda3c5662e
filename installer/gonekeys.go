package installer

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
)

// goneKeys returns a sentence for each key of a ConfigMap that is kept because the user set it, that
// the release before had or documented, and that the new release neither has nor documents: Tekton
// does not read it any more. Key and documentation are in the data, see exampleKey.
func goneKeys(next, current *unstructured.Unstructured, bases []map[string]string, merges []Merge) []string {
	var notes []string
	was := append([]map[string]string{{exampleKey: ConfigData(current)[exampleKey]}}, bases...)
	for _, m := range merges {
		if m.Outcome != KeyKept || m.Value == nil || knows(ConfigData(next), m.Key) {
			continue
		}
		for _, data := range was {
			if knows(data, m.Key) {
				notes = append(notes, fmt.Sprintf("%s has the key %s, which you set and which this release no longer "+
					"has: it is kept, and Tekton does not read it: remove it, or see the release notes for what "+
					"replaces it", kube.Name(next), m.Key))
				break
			}
		}
	}
	return notes
}

// knows reports whether a release has a key, or documents it in its example.
func knows(data map[string]string, key string) bool {
	if _, ok := data[key]; ok {
		return true
	}
	line := regexp.MustCompile(`(?m)^[ #]*` + regexp.QuoteMeta(key) + `:`)
	return line.MatchString(data[exampleKey])
}
