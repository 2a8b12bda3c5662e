package forge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// v5 is the API that Gitee and GitCode have in common: https://gitee.com/api/v5/swagger and
// https://docs.gitcode.com/docs/openapi/repos/webhooks/. Both document the token as the
// parameter access_token; GitCode also documents the Authorization header, which Gitee
// takes, too. A hook's password is in the answers and is never decoded.
type v5 struct{ *session }

func (c *v5) path(suffix string) string {
	return "/repos/" + url.PathEscape(c.at.Owner) + "/" + url.PathEscape(c.at.Name) + "/hooks" + suffix
}

// pageSize is the largest that the forges allow.
const pageSize = 100

// List asks for pages until one is empty: servers may make pages smaller than asked for.
func (c *v5) List(ctx context.Context) ([]Hook, error) {
	var hooks []Hook
	err := c.pages(func(page int) (bool, error) {
		var items []map[string]any
		_, err := c.call(ctx, http.MethodGet, c.path(fmt.Sprintf("?page=%d&per_page=%d", page, pageSize)), nil, &items)
		if err != nil {
			return false, err
		}
		if items == nil {
			return false, c.listed(true, nil)
		}
		for _, item := range items {
			hook := c.hook(item)
			if err := c.listed(false, []Hook{hook}); err != nil {
				return false, err
			}
			if len(hooks) > 0 && hooks[0].ID == hook.ID { // a server without pages
				return false, nil
			}
			hooks = append(hooks, hook)
		}
		return len(items) > 0, nil
	})
	return hooks, err
}

func (c *v5) hook(item map[string]any) Hook {
	h := Hook{ID: text(item["id"]), URL: text(item["url"]), Events: flagged(v5Flags, item), Active: true}
	code, result := text(item["result_code"]), text(item["result"])
	if code != "" && code != "0" || result != "" {
		h.Last = c.clean(strings.TrimSpace(code + " " + result))
	}
	return h
}

// form returns the fields of a hook. All events are set, so that an update also takes away.
func (c *v5) form(want Want) url.Values {
	c.hide(want.Secret)
	encryption := "1" // a signature key
	if want.Mode == "password" || want.Mode == "token" {
		encryption = "0"
	}
	fields := url.Values{"url": {want.URL}, "encryption_type": {encryption}, "password": {want.Secret}}
	for _, f := range v5Flags {
		fields.Set(f.field, strconv.FormatBool(contains(want.Events, f.event)))
	}
	return fields
}

func (c *v5) Create(ctx context.Context, want Want) (Hook, error) {
	return c.write(ctx, http.MethodPost, "", want)
}

func (c *v5) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	written, err := c.write(ctx, http.MethodPatch, "/"+url.PathEscape(hook.ID), want)
	if err == nil && written.ID == "" {
		written.ID = hook.ID
	}
	return written, err
}

func (c *v5) write(ctx context.Context, method, suffix string, want Want) (Hook, error) {
	var item map[string]any
	if _, err := c.call(ctx, method, c.path(suffix), c.form(want), &item); err != nil {
		return Hook{}, err
	}
	return identified(c.session, c.hook(item), method)
}

func (c *v5) Delete(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, c.path("/"+url.PathEscape(id)), nil, nil)
	return err
}

func (c *v5) Test(ctx context.Context, hook Hook) error {
	_, err := c.call(ctx, http.MethodPost, c.path("/"+url.PathEscape(hook.ID)+"/tests"), nil, nil)
	return err
}

func (c *v5) Deliveries(context.Context, string) ([]Delivery, error) { return nil, ErrUnsupported }

// identified returns a hook that was written, or an error where the answer names none.
func identified(s *session, hook Hook, method string) (Hook, error) {
	if hook.ID == "" && method == http.MethodPost {
		e := s.problem(NotAPI)
		e.Message, e.Unsure = "its answer has no hook", true
		return Hook{}, e
	}
	return hook, nil
}

// text returns a JSON string or number as text.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	}
	return ""
}

func contains(list []string, item string) bool {
	for _, each := range list {
		if each == item {
			return true
		}
	}
	return false
}
