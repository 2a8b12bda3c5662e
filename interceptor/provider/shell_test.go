package provider

import (
	"reflect"
	"testing"
)

// TestEveryTextIsLimited holds that no text of Git can be added without a row in exports.
func TestEveryTextIsLimited(t *testing.T) {
	const hostile = "$(reboot)"
	for i := range reflect.TypeFor[Git]().NumField() {
		field := reflect.TypeFor[Git]().Field(i)
		if field.Type.Kind() != reflect.String {
			continue
		}
		var g Git
		reflect.ValueOf(&g).Elem().Field(i).SetString(hostile)
		if err := g.check(); err == nil && reflect.ValueOf(g).Field(i).String() != "" {
			t.Errorf("%s leaves as %q", field.Name, hostile)
		}
	}
	files := fitFiles([]string{"a", hostile, "#b", "~c", "-d", "e{f,g}", "h*"})
	if !reflect.DeepEqual(files, []string{"a"}) {
		t.Errorf("files leave as %q", files)
	}
}
