package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/go-github/v89/github"
)

// gitHub is GitHub and GitHub Enterprise Server.
type gitHub struct{ *session }

// repositories returns the library's service. It is in no field, since the linker keeps all
// methods of the types that a value in an interface can reach: 3 MB here.
func repositories(s *session) (*github.RepositoriesService, error) {
	base := s.base.String() + "/"
	c, err := github.NewClient(github.WithHTTPClient(s.client), github.WithURLs(&base, &base),
		github.WithDisableRateLimitCheck())
	if err != nil {
		return nil, s.problem(NotAPI)
	}
	return c.Repositories, nil
}

func (c *gitHub) List(ctx context.Context) ([]Hook, error) {
	api, err := repositories(c.session)
	if err != nil {
		return nil, err
	}
	var hooks []Hook
	err = c.pages(func(page int) (bool, error) {
		items, response, err := api.ListHooks(ctx, c.at.Owner, c.at.Name,
			&github.ListOptions{Page: page, PerPage: pageSize})
		if err != nil {
			return false, c.wrap(ctx, err)
		}
		for _, item := range items {
			hooks = append(hooks, c.hook(item))
		}
		if err := c.listed(items == nil, hooks); err != nil {
			return false, err
		}
		return response.NextPage > page, nil
	})
	return hooks, err
}

func (c *gitHub) hook(h *github.Hook) Hook {
	if h == nil {
		return Hook{}
	}
	hook := Hook{ID: strconv.FormatInt(h.GetID(), 10), URL: h.GetConfig().GetURL(), Events: sorted(h.Events),
		Active: h.GetActive(), ContentType: h.GetConfig().GetContentType(),
		Insecure: h.GetConfig().GetInsecureSSL() == "1"}
	if code := text(h.LastResponse["code"]); code != "" && code != "0" {
		hook.Last = c.clean(code + " " + text(h.LastResponse["message"]))
	} else if message := text(h.LastResponse["message"]); message != "" {
		hook.Last = c.clean(message)
	}
	return hook
}

func (c *gitHub) request(want Want) *github.Hook {
	c.hide(want.Secret)
	active, json, verify := true, "json", "0"
	return &github.Hook{Active: &active, Events: want.Events,
		Config: &github.HookConfig{URL: &want.URL, ContentType: &json, InsecureSSL: &verify, Secret: &want.Secret}}
}

func (c *gitHub) Create(ctx context.Context, want Want) (Hook, error) {
	api, err := repositories(c.session)
	if err != nil {
		return Hook{}, err
	}
	h, _, err := api.CreateHook(ctx, c.at.Owner, c.at.Name, c.request(want))
	if err != nil {
		return Hook{}, c.wrote(ctx, err)
	}
	return c.written(h, http.MethodPost)
}

func (c *gitHub) Update(ctx context.Context, hook Hook, want Want) (Hook, error) {
	api, err := repositories(c.session)
	if err != nil {
		return Hook{}, err
	}
	id, err := number(hook.ID)
	if err != nil {
		return Hook{}, err
	}
	h, _, err := api.EditHook(ctx, c.at.Owner, c.at.Name, id, c.request(want))
	if err != nil {
		return Hook{}, c.wrote(ctx, err)
	}
	return c.written(h, http.MethodPatch)
}

func (c *gitHub) written(h *github.Hook, method string) (Hook, error) {
	if h == nil || h.ID == nil {
		return identified(c.session, Hook{}, method)
	}
	return c.hook(h), nil
}

func (c *gitHub) Delete(ctx context.Context, id string) error {
	api, err := repositories(c.session)
	if err != nil {
		return err
	}
	n, err := number(id)
	if err != nil {
		return err
	}
	_, err = api.DeleteHook(ctx, c.at.Owner, c.at.Name, n)
	return c.wrap(ctx, err)
}

// Test sends a ping. GitHub's other test sends the last push again, which starts a build.
func (c *gitHub) Test(ctx context.Context, hook Hook) error {
	api, err := repositories(c.session)
	if err != nil {
		return err
	}
	n, err := number(hook.ID)
	if err != nil {
		return err
	}
	_, err = api.PingHook(ctx, c.at.Owner, c.at.Name, n)
	return c.wrap(ctx, err)
}

func (c *gitHub) Deliveries(ctx context.Context, id string) ([]Delivery, error) {
	api, err := repositories(c.session)
	if err != nil {
		return nil, err
	}
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	items, _, err := api.ListHookDeliveries(ctx, c.at.Owner, c.at.Name, n, &github.ListCursorOptions{PerPage: 10})
	if err != nil {
		return nil, c.wrap(ctx, err)
	}
	var list []Delivery
	for _, d := range items {
		list = append(list, Delivery{ID: c.clean(d.GetGUID()), Time: d.GetDeliveredAt().Time,
			Event: c.clean(d.GetEvent()), Status: d.GetStatusCode(), Result: c.clean(d.GetStatus())})
	}
	return list, nil
}

// number reads an id of a forge whose ids are numbers.
func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the hook's id %q: it has to be a number", printable(id))
	}
	return n, nil
}
