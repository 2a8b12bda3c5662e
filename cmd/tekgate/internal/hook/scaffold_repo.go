package hook

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

var (
	repositoryName = lazyregexp.New(`^[\pL\pN_.-]+(/[\pL\pN_.-]+)+$`)
	// sshUser is a user's name of SSH. Tokens are longer.
	sshUser = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.-]{0,30}$`)
)

// errUserInfo refuses a repository's address that may hold a token. It goes into objects and
// commands, which everyone may read who reads the namespace.
var errUserInfo = errors.New("--repo has a user or a password in it, which would be in the objects in clear: " +
	"leave out everything before the @, and give the builds the token with tekgate credentials git --help")

// sshPort is a port where scp's form of an address has a path, before OWNER/NAME.
var sshPort = lazyregexp.New(`^/*[0-9]{1,5}/[^/@]+/[^@?#]+$`)

// address is a clone URL, taken apart.
type address struct {
	scheme string // https, http or ssh
	host   string // with the port
	path   string // what the forge calls the repository: OWNER/NAME
}

// addressOf takes a clone URL apart. No error repeats what may be a token.
func addressOf(text string) (address, error) {
	bad := fmt.Errorf(
		"reading --repo %q: it has to be https://HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git, without a password",
		withoutSecret(text))
	var a address
	user, secret := "", false
	if before, rest, found := strings.Cut(text, "@"); found && !strings.Contains(text, "://") {
		host, after, colon := strings.Cut(rest, ":")
		if before == "" || host == "" || !colon {
			return address{}, bad
		}
		if sshPort.MatchString(after) && sshUser.MatchString(before) && !strings.Contains(host, "@") {
			port, path, _ := strings.Cut(strings.TrimLeft(after, "/"), "/")
			return address{}, fmt.Errorf("reading --repo %q: what follows the colon is a path: for port %[2]s, "+
				"write ssh://git@%[3]s:%[2]s/%[4]s", withoutSecret(text), port, plain(host), plain(path))
		}
		user, a = before, address{"ssh", host, after}
	} else {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh") ||
			u.RawQuery != "" || u.Fragment != "" {
			return address{}, bad
		}
		user, a = u.User.Username(), address{u.Scheme, u.Host, u.Path}
		_, secret = u.User.Password()
		secret = secret || u.User != nil && u.Scheme != "ssh"
	}
	if secret || user != "" && !sshUser.MatchString(user) {
		return address{}, errUserInfo
	}
	a.path = strings.TrimSuffix(strings.Trim(a.path, "/"), ".git")
	if !repositoryName.MatchString(a.path) || strings.ContainsAny(text, " \t\n$`\"'\\") {
		return address{}, bad
	}
	return a, nil
}

// locatable refuses a repository that the forge cannot have, such as the address of a page, as
// register does. An EventListener would wait for its events in vain.
func (s *scaffold) locatable() error {
	of := forge.Forge(s.Provider)
	if !slices.Contains(forge.All, of) {
		return nil // the interceptor judges its name
	}
	_, err := forge.Locate(s.CloneURL, of, "https://api.invalid")
	if err != nil {
		return fmt.Errorf("reading --repo %q: %w", withoutSecret(s.CloneURL), err)
	}
	return nil
}

// withoutSecret leaves out of an address what may be a secret, whether it can be parsed or not:
// what is before the last @, and what a query or a fragment holds.
func withoutSecret(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if strings.ContainsAny(rest[:at], "?#") {
			return "…"
		}
		rest = "…@" + rest[at+1:]
	}
	if cut := strings.IndexAny(rest, "?#"); cut >= 0 {
		rest = rest[:cut] + "…"
	}
	if found {
		rest = scheme + "://" + rest
	}
	return plain(rest)
}

// objectName makes a name for objects of a repository's.
func objectName(repository string) string {
	name := strings.ToLower(repository[strings.LastIndexByte(repository, '/')+1:])
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(name, "-")
}
