package validator_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestFixesMend applies each fix of each case to its object: it applies, the finding
// is gone, and none has come that was not there.
func TestFixesMend(t *testing.T) {
	applied := 0
	for _, folder := range golden.Folders(t) {
		v, raw := load(t, folder), golden.JSON(t, golden.Read(t, folder+"/object.yaml"))
		before := v.Judge(t.Context(), subject(t, raw)).Findings
		for _, finding := range before {
			if len(finding.Fix) == 0 {
				continue
			}
			applied++
			mended, err := apply(raw, finding.Fix)
			if err != nil {
				t.Errorf("%s: applying the fix of %s: %v", folder, finding.Path, err)
				continue
			}
			after := v.Judge(t.Context(), subject(t, mended)).Findings
			for _, f := range after {
				if f.Path == finding.Path && f.Message == finding.Message {
					t.Errorf("%s: the fix of %s does not mend it", folder, f.Path)
				}
			}
			if len(after) >= len(before) {
				t.Errorf("%s: after the fix of %s there are %d findings and not fewer than %d",
					folder, finding.Path, len(after), len(before))
			}
		}
	}
	if applied == 0 {
		t.Error("no case has a fix")
	}
}

// apply applies the edits of a fix as the JSON Patch that they are.
func apply(raw []byte, fix []validator.Edit) ([]byte, error) {
	var operations []map[string]any
	for _, edit := range fix {
		operations = append(operations, map[string]any{"op": edit.Op, "path": pointer(edit.Path), "value": edit.Value})
	}
	encoded, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return nil, err
	}
	return patch.Apply(raw)
}

// pointer writes the path of a finding as a JSON Pointer.
func pointer(path string) string {
	var out strings.Builder
	for path != "" {
		var part string
		if inner, ok := strings.CutPrefix(path, "["); ok {
			part, path, _ = strings.Cut(inner, "]")
			path = strings.TrimPrefix(path, ".")
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			part, path = path[:end], strings.TrimPrefix(path[end:], ".")
		}
		out.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return out.String()
}

func TestPointer(t *testing.T) {
	for path, want := range map[string]string{
		"spec.triggers[0].template.ref":             "/spec/triggers/0/template/ref",
		"metadata.labels[app.kubernetes.io/name].x": "/metadata/labels/app.kubernetes.io~1name/x",
		"a[1][2]": "/a/1/2",
	} {
		if got := pointer(path); got != want {
			t.Errorf("pointer(%s) = %s, want %s", strconv.Quote(path), got, want)
		}
	}
}
