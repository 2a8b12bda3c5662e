package forge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// replacing are the forges whose hooks are replaced to change a secret.
var replacing = []forge.Forge{forge.Gitea, forge.Forgejo, forge.Gogs}

// take deletes the hook that a request names, behind the API's back.
func take(s *forgetest.Server, r *http.Request) {
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	s.Remove(id)
}

// TestReplaceUnsure holds that the new hook stays where the old one may be gone.
func TestReplaceUnsure(t *testing.T) {
	for _, f := range replacing {
		for _, tt := range []struct {
			name    string
			answers func(s *forgetest.Server, deletes int, r *http.Request) (answered bool)
			left    int
			fails   bool
		}{
			{"deleted in spite of 502", func(s *forgetest.Server, n int, r *http.Request) bool {
				if n == 1 {
					take(s, r)
				}
				return n == 1
			}, 1, false},
			{"deleted in spite of two 502", func(s *forgetest.Server, n int, r *http.Request) bool {
				if n == 1 {
					take(s, r)
				}
				return true
			}, 1, false},
			{"not deleted", func(*forgetest.Server, int, *http.Request) bool { return true }, 2, true},
		} {
			s := forgetest.New(t, f)
			old := s.Add(forgetest.Hook{URL: "https://a.example/", Active: true})
			deletes := 0
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodDelete {
					return false
				}
				if deletes++; !tt.answers(s, deletes, r) {
					return false
				}
				s.Fail(w, http.StatusBadGateway, "bad")
				return true
			}
			made, err := update(t.Context(), t, s)
			all := s.Hooks()
			if (err != nil) != tt.fails || len(all) != tt.left || all[len(all)-1].ID == old.ID {
				t.Errorf("%s, %s: updated %+v, error %v; the forge has %+v", f, tt.name, made, err, all)
			}
			if err != nil && (!forge.Unsure(err) || !strings.Contains(err.Error(), "delete it at the forge")) {
				t.Errorf("%s, %s: error %v", f, tt.name, err)
			}
		}
	}
}

// TestReplaceInterrupted holds that an interrupt while the old hook is deleted leaves the new.
func TestReplaceInterrupted(t *testing.T) {
	for _, f := range replacing {
		s := forgetest.New(t, f)
		old := s.Add(forgetest.Hook{URL: "https://a.example/", Active: true})
		ctx, cancel := context.WithCancel(t.Context())
		s.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				cancel()
				time.Sleep(100 * time.Millisecond)
			}
			return false
		}
		if _, err := update(ctx, t, s); err != nil {
			t.Errorf("%s: error %v", f, err)
		}
		if all := s.Hooks(); len(all) != 1 || all[0].ID == old.ID {
			t.Errorf("%s: the forge has %+v", f, all)
		}
	}
}

func update(ctx context.Context, t *testing.T, s *forgetest.Server) (forge.Hook, error) {
	t.Helper()
	c := connect(t, options(t, s))
	hooks, err := c.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wanted := want(t, s, "https://a.example/")
	wanted.NewSecret = true
	return c.Update(ctx, hooks[0], wanted)
}
