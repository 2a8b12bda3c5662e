package resolve

import (
	"net/url"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// hidden takes the place of a secret.
const hidden = "REDACTED"

// secretQuery matches the names of query parameters that may hold a credential.
var secretQuery = lazyregexp.New(`(?i)token|secret|passw|credential|signature|^sig$|api.?key|access.?key|^auth`)

// userinfo is what a URL has before its host, also where the URL cannot be parsed.
var userinfo = lazyregexp.New(`([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s"']*@`)

// redacted returns a URL without its user, password, fragment and secret query parameters.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return userinfo.ReplaceAllString(address, "$1")
	}
	u.User, u.Fragment, u.RawFragment = nil, "", "" // no server sees a fragment
	query, changed := u.Query(), false
	for name := range query {
		if secretQuery.MatchString(name) {
			query.Set(name, hidden)
			changed = true
		}
	}
	if changed {
		u.RawQuery = query.Encode()
	}
	return u.String()
}

// secrets are the texts in the params of a request that no message may hold.
func (q Request) secrets() []string {
	var found []string
	for _, value := range q.Params {
		u, err := url.Parse(value)
		if err != nil {
			continue
		}
		if password, has := u.User.Password(); has {
			found = append(found, password, url.QueryEscape(password), u.User.String())
		}
		if u.User != nil && u.User.Username() != "" && u.User.Username() != "git" {
			found = append(found, u.User.Username()+"@", u.User.String()+"@")
		}
		if u.Host != "" && u.Fragment != "" {
			found = append(found, "#"+u.Fragment, "#"+u.EscapedFragment())
		}
		for name, values := range u.Query() {
			if secretQuery.MatchString(name) {
				for _, value := range values {
					found = append(found, value, url.QueryEscape(value))
				}
			}
		}
	}
	return found
}

// scrub removes from a text what no message may hold.
func (q Request) scrub(text string) string {
	text = userinfo.ReplaceAllString(text, "$1")
	for _, secret := range q.secrets() {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	return strings.Join(strings.Fields(text), " ")
}
