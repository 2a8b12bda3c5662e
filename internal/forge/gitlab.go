package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gitLab is GitLab's API: https://docs.gitlab.com/api/project_webhooks/.
type gitLab struct{ *session }

func (c *gitLab) path(suffix string) string {
	return "/projects/" + url.PathEscape(c.at.Path()) + "/hooks" + suffix
}

func (c *gitLab) List(ctx context.Context) ([]Hook, error) {
	var hooks []Hook
	err := c.pages(func(page int) (bool, error) {
		var items []map[string]any
		header, err := c.call(ctx, http.MethodGet, c.path(fmt.Sprintf("?page=%d&per_page=%d", page, pageSize)), nil,
			&items)
		for _, item := range items {
			hooks = append(hooks, c.hook(item))
		}
		if err == nil {
			err = c.listed(items == nil, hooks)
		}
		return err == nil && header.Get("X-Next-Page") != "", err
	})
	return hooks, err
}

func (c *gitLab) hook(item map[string]any) Hook {
	h := Hook{ID: text(item["id"]), URL: text(item["url"]), Events: flagged(gitLabFlags, item)}
	status := text(item["alert_status"])
	h.Active = status == "" || status == "executable"
	if check, is := item["enable_ssl_verification"].(bool); is && !check {
		h.Insecure = true
	}
	if !h.Active {
		h.Disabled = true
		h.Last = c.clean("GitLab has disabled the hook after failures: " + status)
		if until := text(item["disabled_until"]); until != "" {
			h.Last += " until " + c.clean(until)
		}
	}
	return h
}

// fields returns what a hook is made of. A hook may have both kinds of token: one of the other
// kind stays, which does no harm, because the Trigger's mode decides which one counts.
func (c *gitLab) fields(want Want) map[string]any {
	c.hide(want.Secret)
	fields := map[string]any{"url": want.URL, "enable_ssl_verification": true}
	if want.Mode == "signing-token" {
		fields["signing_token"] = want.Secret
	} else {
		fields["token"] = want.Secret
	}
	for _, f := range gitLabFlags {
		fields[f.field] = contains(want.Events, f.event)
	}
	return fields
}

func (c *gitLab) Create(ctx context.Context, want Want) (Hook, error) {
	return c.write(ctx, http.MethodPost, "", want)
}

func (c *gitLab) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	return c.write(ctx, http.MethodPut, "/"+url.PathEscape(hook.ID), want)
}

func (c *gitLab) write(ctx context.Context, method, suffix string, want Want) (Hook, error) {
	var item map[string]any
	if _, err := c.call(ctx, method, c.path(suffix), c.fields(want), &item); err != nil {
		return Hook{}, err
	}
	return identified(c.session, c.hook(item), method)
}

func (c *gitLab) Delete(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, c.path("/"+url.PathEscape(id)), nil, nil)
	return err
}

// Test sends what a push of the last commits would. GitLab answers 422 where the target does
// not answer with success, and where the repository has no commit to send.
func (c *gitLab) Test(ctx context.Context, hook Hook) error {
	trigger := "push_events"
	if !contains(hook.Events, "push") && len(hook.Events) > 0 {
		for _, f := range gitLabFlags {
			if f.event == hook.Events[0] {
				trigger = f.field
			}
		}
	}
	_, err := c.call(ctx, http.MethodPost, c.path("/"+url.PathEscape(hook.ID)+"/test/"+trigger), nil, nil)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity &&
		!strings.Contains(refused.Message, "at least one commit") {
		return &UndeliveredError{refused}
	}
	return err
}

// Deliveries exist since GitLab 17.3. Before, the path is not found.
func (c *gitLab) Deliveries(ctx context.Context, id string) ([]Delivery, error) {
	var items []struct {
		ID      json.Number       `json:"id"`
		Trigger string            `json:"trigger"`
		Header  map[string]string `json:"request_headers"`
		Answer  map[string]string `json:"response_headers"`
		Status  any               `json:"response_status"`
	}
	path := c.path("/" + url.PathEscape(id) + "/events?per_page=10")
	if _, err := c.call(ctx, http.MethodGet, path, nil, &items); err != nil {
		return nil, err
	}
	var list []Delivery
	for _, item := range items {
		d := Delivery{ID: item.Header["Idempotency-Key"], Event: c.clean(item.Trigger),
			Result: c.clean(text(item.Status))}
		if d.ID == "" {
			d.ID = item.ID.String()
		}
		if status, err := strconv.Atoi(d.Result); err == nil {
			d.Status = status
		}
		if at, err := http.ParseTime(item.Answer["Date"]); err == nil {
			d.Time = at
		}
		list = append(list, d)
	}
	return list, nil
}
