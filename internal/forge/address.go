package forge

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/suggest"
)

// Forge is a kind of forge.
type Forge string

// The forges.
const (
	Gitee     Forge = "gitee"
	GitCode   Forge = "gitcode"
	GitHub    Forge = "github"
	GitLab    Forge = "gitlab"
	Gitea     Forge = "gitea"
	Forgejo   Forge = "forgejo"
	Gogs      Forge = "gogs"
	Bitbucket Forge = "bitbucket"
)

// All are the forges whose hooks can be managed.
var All = []Forge{Gitee, GitCode, GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket}

// about is what differs between forges beside paths and fields.
type about struct {
	title string
	// provider is the value of the interceptor's param.
	provider string
	// token names the token that may manage hooks.
	token string
	// statusToken names the token that may report commit statuses; empty where SetStatus cannot.
	statusToken string
	// public is the API of the public service; empty if there is none.
	public string
	// below is the API's path at a server of your own.
	below     string
	authorize func(h http.Header, token string)
	// unreachable is a setting that keeps the forge from reaching private addresses.
	unreachable string
}

// abouts has a row for each forge. Sources: the API documentation at gitee.com/api/v5/swagger,
// docs.gitcode.com, docs.github.com/rest/repos/webhooks, docs.gitlab.com/api/project_webhooks,
// docs.gitea.com/development/api-usage, github.com/gogs/docs-api and
// developer.atlassian.com/cloud/bitbucket/rest.
var abouts = map[Forge]about{
	Gitee: {title: "Gitee", provider: "gitee", public: "https://gitee.com/api/v5", below: "/api/v5",
		token:       "a personal access token with the scopes projects and hook, of an administrator of the repository",
		statusToken: "a personal access token with the scope projects, of a developer of the repository",
		authorize:   scheme("token")},
	GitCode: {title: "GitCode", provider: "gitcode", public: "https://api.gitcode.com/api/v5", below: "/api/v5",
		token:       "a personal access token that may manage webhooks, of an administrator of the repository",
		statusToken: "a personal access token that may write to repositories, of a developer of the repository",
		authorize:   scheme("Bearer")},
	GitHub: {title: "GitHub", provider: "github", public: "https://api.github.com", below: "/api/v3",
		token: "a classic token with the scope admin:repo_hook, or a fine-grained one with read and write access to Webhooks, " +
			"of an administrator of the repository",
		statusToken: "a classic token with the scope repo:status, or a fine-grained one with read and write access to " +
			"Commit statuses",
		authorize: scheme("Bearer")},
	GitLab: {title: "GitLab", provider: "gitlab", public: "https://gitlab.com/api/v4", below: "/api/v4",
		token:       "a token with the scope api and the role Maintainer or Owner",
		statusToken: "a token with the scope api and the role Developer or a higher one",
		authorize:   func(h http.Header, token string) { h.Set("PRIVATE-TOKEN", token) },
		unreachable: "an administrator must allow requests to the local network from webhooks " +
			"(Admin → Settings → Network → Outbound requests) if the address is private"},
	Gitea: {title: "Gitea", provider: "gitea", below: "/api/v1", authorize: scheme("token"),
		token:       "a token with the scope write:repository, of an administrator of the repository",
		statusToken: "a token with the scope write:repository, of a user who may push to the repository",
		unreachable: "ALLOWED_HOST_LIST, in the section [webhook] of its app.ini, must allow the address if that is private"},
	Forgejo: {title: "Forgejo", provider: "gitea", below: "/api/v1", authorize: scheme("token"),
		token:       "a token with the scope write:repository, of an administrator of the repository",
		statusToken: "a token with the scope write:repository, of a user who may push to the repository",
		unreachable: "ALLOWED_HOST_LIST, in the section [webhook] of its app.ini, must allow the address if that is private"},
	Gogs: {title: "Gogs", provider: "gitea", below: "/api/v1", authorize: scheme("token"),
		token:       "an access token of an administrator of the repository",
		unreachable: "[security] LOCAL_NETWORK_ALLOWLIST in its app.ini must name the host if that is private"},
	Bitbucket: {title: "Bitbucket Cloud", provider: "bitbucket", public: "https://api.bitbucket.org/2.0",
		token: "a repository access token with the scope webhook, or EMAIL:API_TOKEN with the scopes read:webhook:bitbucket, " +
			"write:webhook:bitbucket and delete:webhook:bitbucket",
		authorize: basicOrBearer},
}

func scheme(name string) func(http.Header, string) {
	return func(h http.Header, token string) { h.Set("Authorization", name+" "+token) }
}

// basicOrBearer tells a user's API token, which comes as EMAIL:TOKEN, from an access token.
func basicOrBearer(h http.Header, token string) {
	if strings.Contains(token, ":") {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(token)))
		return
	}
	h.Set("Authorization", "Bearer "+token)
}

// hosts are public servers.
var hosts = map[string]Forge{
	"gitee.com": Gitee, "gitcode.com": GitCode, "github.com": GitHub, "gitlab.com": GitLab, "jihulab.com": GitLab,
	"gitea.com": Gitea, "codeberg.org": Forgejo, "bitbucket.org": Bitbucket,
}

// Title returns the forge's name for sentences.
func (f Forge) Title() string { return abouts[f].title }

// Provider returns the value of the interceptor's param provider.
func (f Forge) Provider() string { return abouts[f].provider }

// Token returns which token may manage hooks.
func (f Forge) Token() string { return abouts[f].token }

// StatusToken returns which token may report commit statuses; empty if SetStatus cannot report
// any to the forge.
func (f Forge) StatusToken() string { return abouts[f].statusToken }

// Unreachable returns which of the forge's settings keeps it from reaching an address; empty
// if it has none.
func (f Forge) Unreachable() string { return abouts[f].unreachable }

// Repository is a repository at a forge.
type Repository struct {
	Forge Forge
	Owner string // with slashes between GitLab's groups
	Name  string
	API   string // base URL of the API, without a slash at the end
}

// Path returns the owner and the name.
func (r Repository) Path() string { return r.Owner + "/" + r.Name }

var repositoryPath = lazyregexp.New(`^[\pL\pN_~][\pL\pN_.~-]*(/[\pL\pN_.][\pL\pN_.-]*)+$`)

// Locate returns the repository that OWNER/NAME or a clone URL means. The forge and the API
// may be empty where the host of a clone URL is a public one.
func Locate(text string, forge Forge, api string) (Repository, error) {
	host, path, err := split(text)
	if err != nil {
		return Repository{}, err
	}
	if public := hosts[host]; forge == "" {
		forge = public
	}
	if forge == "" {
		return Repository{}, &UnknownError{Path: path, Of: All}
	}
	about, known := abouts[forge]
	if !known {
		return Repository{}, &UnknownError{Forge: forge, Path: path, Of: All}
	}
	r := Repository{Forge: forge}
	cut := strings.LastIndexByte(path, '/')
	r.Owner, r.Name = path[:cut], path[cut+1:]
	if strings.Contains(r.Owner, "/") && forge != GitLab {
		return Repository{}, fmt.Errorf("%s is not a repository of %s: its name is OWNER/NAME", path, about.title)
	}
	r.API, err = about.api(api, host)
	return r, err
}

// api returns the base URL of the API: what was given, with the API's path, or that of the
// host of a clone URL, or the public one.
func (a about) api(given, host string) (string, error) {
	if given != "" {
		given = strings.TrimRight(given, "/")
		if u, err := url.Parse(given); err == nil && u.Hostname() != "" && given != a.public && !a.complete(u) {
			given += a.below
		}
		return given, nil
	}
	public, err := url.Parse(a.public)
	if err != nil {
		return "", err
	}
	if host != "" && host != strings.TrimPrefix(public.Hostname(), "api.") {
		if a.below == "" {
			return "", fmt.Errorf("%s has no API that this command knows: only %s does", host,
				strings.TrimPrefix(public.Hostname(), "api."))
		}
		return "https://" + host + a.below, nil
	}
	if a.public == "" {
		return "", fmt.Errorf("the address of %s is missing: pass --api-url https://HOST, or the repository's clone URL",
			a.title)
	}
	return a.public, nil
}

// complete reports whether a URL has the API's path already. A server below a path, such as
// https://HOST/gitea, has the API below that; GitHub cannot be below one, so another path is
// that of a proxy for its API.
func (a about) complete(u *url.URL) bool {
	path := strings.Trim(u.Path, "/")
	switch {
	case strings.HasPrefix(u.Hostname(), "api."):
		return true
	case a.provider == "github":
		return path != ""
	}
	return strings.HasSuffix("/"+path, a.below)
}

// Plain returns the repository with an API without TLS where a clone URL has none, either. The
// API of a public server always has.
func (r Repository) Plain(text string) Repository {
	if rest, secure := strings.CutPrefix(r.API, "https://"); secure && strings.HasPrefix(text, "http://") &&
		r.API != abouts[r.Forge].public {
		r.API = "http://" + rest
	}
	return r
}

// split takes apart OWNER/NAME or a clone URL; host is empty for the first. An SSH port is
// not the API's, so it is left out.
func split(text string) (host, path string, err error) {
	bad := fmt.Errorf(
		"reading the repository %q: it has to be OWNER/NAME, https://HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git, "+
			"without a password", printable(withoutQuery(withoutUser(text))))
	switch {
	case strings.Contains(text, "://"):
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" ||
			!slices.Contains([]string{"https", "http", "ssh"}, u.Scheme) {
			return "", "", bad
		}
		if _, secret := u.User.Password(); secret {
			return "", "", bad
		}
		host, path = u.Host, u.Path
		if u.Scheme == "ssh" {
			host = u.Hostname()
		}
	case strings.Contains(text, "@"):
		_, rest, _ := strings.Cut(text, "@")
		var colon bool
		if host, path, colon = strings.Cut(rest, ":"); !colon || host == "" {
			return "", "", bad
		}
	default:
		path = text
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if !repositoryPath.MatchString(path) || strings.Contains(path, "..") {
		return "", "", bad
	}
	return strings.ToLower(host), path, nil
}

// UnknownError reports a repository whose forge is not known.
type UnknownError struct {
	Forge Forge // as it was named; empty if it was not
	Path  string
	Of    []Forge // to choose from
}

func (e *UnknownError) Error() string {
	list := make([]string, 0, len(e.Of))
	for _, f := range e.Of {
		list = append(list, string(f))
	}
	if e.Forge == "" {
		return fmt.Sprintf("the forge of %s is not known: name it with --provider, one of %s", e.Path,
			strings.Join(list, ", "))
	}
	return fmt.Sprintf("--provider %q is no forge that this command knows: %s", string(e.Forge),
		suggest.DidYouMean(string(e.Forge), list, "choose one of "+strings.Join(list, ", ")))
}

// WithStatus returns the forges to which SetStatus reports.
func WithStatus() []Forge {
	return slices.DeleteFunc(slices.Clone(All), func(f Forge) bool { return f.CheckStatus() != nil })
}
