package hook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// TestInterruptedWrites holds what is left, and said, after Ctrl-C during a request.
func TestInterruptedWrites(t *testing.T) {
	const address = "https://hooks.example.com/app"
	for _, tt := range []struct {
		name, method, want string
		exists, stores     bool
		left               int
	}{
		{"the server makes it", http.MethodPost, "nothing stays: removed the hook", false, true, 0},
		{"the server has not made it", http.MethodPost, "no hook was found, but the request may still make one",
			false, false, 0},
		{"the new one of two", http.MethodPost, "may have changed the hook or made a second one", true, true, 2},
		{"the old one is deleted", http.MethodDelete, "has been updated", true, false, 1},
	} {
		s := forgetest.New(t, forge.Gitea)
		if tt.exists {
			s.Add(forgetest.Hook{URL: address, Secret: "old", Active: true})
		}
		at, err := forge.Locate(forgetest.Path, s.Forge, s.API())
		if err != nil {
			t.Fatal(err)
		}
		c, err := forge.New(forge.Options{Repository: at, Token: forgetest.Token, CA: s.CA()})
		if err != nil {
			t.Fatal(err)
		}
		hooks, err := c.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := registering{registration: registration{url: address}}
		place := &site{forge: c, repository: at, hooks: hooks}
		if tt.exists {
			place.hook = &hooks[0]
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.Answer = func(_ http.ResponseWriter, request *http.Request) bool {
			if request.Method != tt.method {
				return false
			}
			if tt.stores {
				s.Add(forgetest.Hook{URL: address, Secret: "new", Active: true})
			}
			cancel()
			time.Sleep(100 * time.Millisecond)
			return tt.method == http.MethodPost
		}
		var undo undoing
		want := &forge.Want{URL: address, Secret: "new", Events: []string{"push"}, NewSecret: true}
		_, err = r.write(ctx, place, want, &undo)
		if err == nil {
			err = context.Canceled // of what follows
		}
		err = undo.after(ctx, err)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), tt.want) || len(s.Hooks()) != tt.left {
			t.Errorf("%s: error %v; the forge has %+v", tt.name, err, s.Hooks())
		}
		if all := s.Hooks(); tt.method == http.MethodDelete && all[0].Secret != "new" {
			t.Errorf("%s: the forge has %+v", tt.name, all)
		}
	}
}
