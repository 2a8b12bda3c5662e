package forge

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// bitbucket is Bitbucket Cloud:
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/ (webhooks). It
// cannot send a test, and keeps no deliveries that its API shows.
type bitbucket struct{ *session }

// bitbucketHook is a hook in the words of its API. The secret is written and never read.
type bitbucketHook struct {
	UUID        string   `json:"uuid,omitempty"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	Active      bool     `json:"active"`
	Events      []string `json:"events"`
	Secret      string   `json:"secret,omitempty"`
}

func (c *bitbucket) path(suffix string) string {
	return "/repositories/" + url.PathEscape(c.at.Owner) + "/" + url.PathEscape(c.at.Name) + "/hooks" + suffix
}

func (h bitbucketHook) hook() Hook {
	return Hook{ID: h.UUID, URL: h.URL, Events: sorted(h.Events), Active: h.Active,
		kept: map[string]string{"description": h.Description}}
}

// List follows the links to the next page, if they lead to the API.
func (c *bitbucket) List(ctx context.Context) ([]Hook, error) {
	var hooks []Hook
	next := c.path("?pagelen=100")
	err := c.pages(func(int) (bool, error) {
		var page struct {
			Values []bitbucketHook `json:"values"`
			Next   string          `json:"next"`
		}
		if _, err := c.call(ctx, http.MethodGet, next, nil, &page); err != nil {
			return false, err
		}
		for _, item := range page.Values {
			hooks = append(hooks, item.hook())
		}
		if err := c.listed(page.Values == nil, hooks); err != nil {
			return false, err
		}
		if page.Next == "" {
			return false, nil
		}
		var below bool
		if next, below = strings.CutPrefix(page.Next, c.base.String()); !below || !strings.HasPrefix(next, "/") {
			e := c.problem(Redirected)
			e.Message = c.clean(withoutQuery(withoutUser(page.Next)))
			return false, e
		}
		return true, nil
	})
	return hooks, err
}

func (c *bitbucket) Create(ctx context.Context, want Want) (Hook, error) {
	return c.write(ctx, http.MethodPost, "", "Tekgate", want)
}

func (c *bitbucket) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	return c.write(ctx, http.MethodPut, "/"+url.PathEscape(hook.ID), hook.kept["description"], want)
}

func (c *bitbucket) write(ctx context.Context, method, suffix, description string, want Want) (Hook, error) {
	c.hide(want.Secret)
	var made bitbucketHook
	_, err := c.call(ctx, method, c.path(suffix), bitbucketHook{Description: description, URL: want.URL, Active: true,
		Events: want.Events, Secret: want.Secret}, &made)
	if err != nil {
		return Hook{}, err
	}
	return identified(c.session, made.hook(), method)
}

func (c *bitbucket) Delete(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, c.path("/"+url.PathEscape(id)), nil, nil)
	return err
}

func (c *bitbucket) Test(context.Context, Hook) error { return ErrUnsupported }

func (c *bitbucket) Deliveries(context.Context, string) ([]Delivery, error) {
	return nil, ErrUnsupported
}
