package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// gogsHooks is Gogs: https://github.com/gogs/docs-api/tree/main/Repositories (webhooks). Its
// lists have no pages, and it cannot send a test.
type gogsHooks struct{ *session }

// gogsHook is a hook in the words of its API.
type gogsHook struct {
	ID     int64             `json:"id,omitempty"`
	Type   string            `json:"type,omitempty"`
	Config map[string]string `json:"config"`
	Events []string          `json:"events"`
	Active bool              `json:"active"`
}

func (c *gogsHooks) path(suffix string) string {
	return "/repos/" + url.PathEscape(c.at.Owner) + "/" + url.PathEscape(c.at.Name) + "/hooks" + suffix
}

func (h gogsHook) hook() Hook {
	hook := Hook{URL: h.Config["url"], Events: sorted(h.Events), Active: h.Active,
		ContentType: h.Config["content_type"]}
	if h.ID != 0 {
		hook.ID = fmt.Sprint(h.ID)
	}
	return hook
}

func (c *gogsHooks) List(ctx context.Context) ([]Hook, error) {
	var items []gogsHook
	if _, err := c.call(ctx, http.MethodGet, c.path(""), nil, &items); err != nil {
		return nil, err
	}
	hooks := make([]Hook, 0, len(items))
	for _, item := range items {
		hooks = append(hooks, item.hook())
	}
	return hooks, c.listed(items == nil, hooks)
}

func (c *gogsHooks) Create(ctx context.Context, want Want) (Hook, error) {
	c.hide(want.Secret)
	var made gogsHook
	_, err := c.call(ctx, http.MethodPost, c.path(""),
		gogsHook{Type: "gogs", Config: giteaConfig(want), Events: want.Events, Active: true}, &made)
	if err != nil {
		return Hook{}, err
	}
	return identified(c.session, made.hook(), http.MethodPost)
}

// Update ignores a secret in place, as Gogs does.
func (c *gogsHooks) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	if want.NewSecret {
		return replace(ctx, c, hook, func() (Hook, error) { return c.Create(ctx, want) })
	}
	c.hide(want.Secret)
	var made gogsHook
	_, err := c.call(ctx, http.MethodPatch, c.path("/"+url.PathEscape(hook.ID)),
		gogsHook{Config: giteaConfig(want), Events: want.Events, Active: true}, &made)
	if err != nil {
		return Hook{}, err
	}
	return made.hook(), nil
}

func (c *gogsHooks) Delete(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, c.path("/"+url.PathEscape(id)), nil, nil)
	return err
}

func (c *gogsHooks) Test(context.Context, Hook) error { return ErrUnsupported }

func (c *gogsHooks) Deliveries(context.Context, string) ([]Delivery, error) {
	return nil, ErrUnsupported
}
