package release

import (
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/installer"
)

// DescribeMerge describes the merge of a key of a ConfigMap that the user changed.
func DescribeMerge(m installer.Merge) string {
	switch m.Outcome {
	case installer.KeyKept:
		return fmt.Sprintf("kept your %s = %s (the release has %s)", m.Key, short(m.Value), short(m.Other))
	case installer.KeyDeclared:
		return fmt.Sprintf("set %s to %s, as the configuration declares, in place of your %s", m.Key, short(m.Value),
			short(m.Other))
	case installer.KeyRemoved:
		return fmt.Sprintf("removed %s = %s, which the release no longer has", m.Key, short(m.Other))
	}
	return fmt.Sprintf("changed %s from %s to %s", m.Key, short(m.Other), short(m.Value))
}

func short(value *string) string {
	if value == nil {
		return "nothing"
	}
	if first, _, more := strings.Cut(*value, "\n"); more || len(first) > 60 {
		return fmt.Sprintf("%.57q…", first)
	}
	return fmt.Sprintf("%q", *value)
}
