package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"code.gitea.io/sdk/gitea"
)

// giteaHooks is Gitea and Forgejo.
type giteaHooks struct{ *session }

// sdk returns a client of the library. It has a context, not its calls.
func sdk(ctx context.Context, c *session) (*gitea.Client, error) {
	server := strings.TrimSuffix(c.base.String(), "/api/v1")
	// An empty version keeps the library from asking for it.
	client, err := gitea.NewClient(server, gitea.SetHTTPClient(c.client), gitea.SetContext(ctx),
		gitea.SetGiteaVersion(""))
	if err != nil {
		return nil, c.wrap(ctx, err)
	}
	return client, nil
}

// List asks for pages until it has as many hooks as the server counts: it makes pages smaller
// than asked for, as [api] MAX_RESPONSE_ITEMS says.
func (c *giteaHooks) List(ctx context.Context) ([]Hook, error) {
	api, err := sdk(ctx, c.session)
	if err != nil {
		return nil, err
	}
	var hooks []Hook
	err = c.pages(func(page int) (bool, error) {
		items, response, err := api.ListRepoHooks(c.at.Owner, c.at.Name,
			gitea.ListHooksOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if err != nil {
			return false, c.wrap(ctx, err)
		}
		for _, item := range items {
			hooks = append(hooks, giteaHook(item))
		}
		if err := c.listed(items == nil, hooks); err != nil {
			return false, err
		}
		total, err := strconv.Atoi(response.Header.Get("X-Total-Count"))
		return len(items) > 0 && (err != nil || len(hooks) < total), nil
	})
	return hooks, err
}

func giteaHook(h *gitea.Hook) Hook {
	if h == nil {
		return Hook{}
	}
	return Hook{ID: strconv.FormatInt(h.ID, 10), URL: h.Config["url"], Events: sorted(h.Events), Active: h.Active,
		ContentType: h.Config["content_type"],
		kept:        map[string]string{"branch_filter": h.BranchFilter, "authorization": h.AuthorizationHeader}}
}

func giteaConfig(want Want) map[string]string {
	return map[string]string{"url": want.URL, "content_type": "json", "secret": want.Secret}
}

func (c *giteaHooks) Create(ctx context.Context, want Want) (Hook, error) {
	return c.create(ctx, want, nil)
}

// create makes a hook with the branch filter and the authorization header of another.
func (c *giteaHooks) create(ctx context.Context, want Want, kept map[string]string) (Hook, error) {
	c.hide(want.Secret)
	api, err := sdk(ctx, c.session)
	if err != nil {
		return Hook{}, err
	}
	h, _, err := api.CreateRepoHook(c.at.Owner, c.at.Name,
		gitea.CreateHookOption{Type: gitea.HookTypeGitea, Config: giteaConfig(want), Events: want.Events, Active: true,
			BranchFilter: kept["branch_filter"], AuthorizationHeader: kept["authorization"]})
	if err != nil {
		return Hook{}, c.wrote(ctx, err)
	}
	if h == nil || h.ID == 0 {
		return identified(c.session, Hook{}, http.MethodPost)
	}
	return giteaHook(h), nil
}

// Update repeats the branch filter and the authorization header, which Gitea would clear.
// Gitea 1.27 ignores a secret in a PATCH (editHook in routers/api/v1/utils/hook.go).
func (c *giteaHooks) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	if want.NewSecret {
		return replace(ctx, c, hook, func() (Hook, error) { return c.create(ctx, want, hook.kept) })
	}
	c.hide(want.Secret)
	id, err := number(hook.ID)
	if err != nil {
		return Hook{}, err
	}
	api, err := sdk(ctx, c.session)
	if err != nil {
		return Hook{}, err
	}
	active := true
	_, err = api.EditRepoHook(c.at.Owner, c.at.Name, id, gitea.EditHookOption{
		Config: giteaConfig(want), Events: want.Events, Active: &active,
		BranchFilter: hook.kept["branch_filter"], AuthorizationHeader: hook.kept["authorization"],
	})
	if err != nil {
		return Hook{}, c.wrap(ctx, err)
	}
	hook.URL, hook.Events, hook.Active, hook.ContentType = want.URL, sorted(want.Events), true, "json"
	return hook, nil
}

func (c *giteaHooks) Delete(ctx context.Context, id string) error {
	n, err := number(id)
	if err != nil {
		return err
	}
	api, err := sdk(ctx, c.session)
	if err != nil {
		return err
	}
	_, err = api.DeleteRepoHook(c.at.Owner, c.at.Name, n)
	return c.wrap(ctx, err)
}

// Test is a call that the library lacks. Gitea sends a push of the last commit, whatever the
// hook is for, and nothing for a repository without commits.
func (c *giteaHooks) Test(ctx context.Context, hook Hook) error {
	if !contains(hook.Events, "push") {
		return ErrUnsupported
	}
	api, err := sdk(ctx, c.session)
	if err != nil {
		return err
	}
	repository, _, err := api.GetRepo(c.at.Owner, c.at.Name)
	if err != nil {
		return c.wrap(ctx, err)
	}
	if repository == nil || repository.Empty {
		return ErrUnsupported
	}
	_, err = c.call(ctx, http.MethodPost, "/repos/"+url.PathEscape(c.at.Owner)+"/"+url.PathEscape(c.at.Name)+
		"/hooks/"+url.PathEscape(hook.ID)+"/tests", nil, nil)
	return err
}

func (c *giteaHooks) Deliveries(context.Context, string) ([]Delivery, error) {
	return nil, ErrUnsupported
}
