package suggest_test

import (
	"testing"

	"github.com/tekgate/tekgate/internal/suggest"
)

func TestClosest(t *testing.T) {
	known := []string{"serviceAccount", "imageMirror", "kaniko"}
	for word, want := range map[string]string{"serviceaccount": "serviceAccount", "imagemiror": "imageMirror",
		"docker": "", "": ""} {
		if got := suggest.Closest(word, known); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	if got := suggest.DidYouMean("kanico", []string{"kaniko"}, "leave it out"); got != `did you mean "kaniko"?` {
		t.Errorf("got %s", got)
	}
	if got := suggest.DidYouMean("docker", []string{"kaniko"}, "leave it out"); got != "leave it out" {
		t.Errorf("got %s", got)
	}
}
