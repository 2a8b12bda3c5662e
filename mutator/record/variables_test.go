package record

import "testing"

func TestVariables(t *testing.T) {
	v := ReadVariables(map[string]any{"tekgate.dev/set-variables": `{"B":"` + Sum("b") + `","C":"` + Sum("c") + `"}`})
	if !v.Set("B", "b") || v.Set("B", "x") || v.Set("A", "") {
		t.Error("what was set is not known")
	}
	if text, changed := v.Text(); text != "" || changed {
		t.Errorf("nothing has changed, and the text is %q", text)
	}
	v.Remember("A", Sum("x"))
	v.Remember("A", Sum("a"))
	v.Remember("B", "")
	if !v.Set("B", "b") {
		t.Error("a change forgets what was set in another step")
	}
	if text, changed := v.Text(); text != `{"A":"`+Sum("a")+`","C":"`+Sum("c")+`"}` || !changed {
		t.Errorf("got %s", text)
	}
	v.Remember("A", "")
	v.Remember("C", "")
	if text, changed := v.Text(); text != "" || !changed {
		t.Errorf("got %q, changed %v, want none", text, changed)
	}
	for _, text := range []string{"", "null", "[]", "{"} {
		if v := ReadVariables(map[string]any{"tekgate.dev/set-variables": text}); v.Set("B", "b") {
			t.Errorf("%q has set a variable", text)
		}
	}
}
