package credentials

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// sshHost returns the form in which Tekton wants a host for SSH: host and port.
func sshHost(written string) (string, error) {
	rest := strings.TrimPrefix(written, "ssh://")
	if _, after, found := strings.Cut(rest, "@"); found {
		rest = after
	}
	rest = strings.TrimSuffix(rest, "/")
	name, port, hasPort := strings.Cut(rest, ":")
	_, err := strconv.ParseUint(port, 10, 16)
	badPort := hasPort && err != nil
	if rest == "" || badPort || strings.ContainsAny(rest, "/ =*") ||
		strings.Contains(written, "://") && !strings.HasPrefix(written, "ssh://") {
		example := "git.example.com or git.example.com:2222"
		if name, _, _ := strings.Cut(name, "/"); name != "" && !strings.ContainsAny(name, " =*") && badPort {
			example = name
		}
		return "", fmt.Errorf("host %q: a key is for a whole server: name its host and, if need be, its port, such as %s",
			clients.WithoutLogin(written), example)
	}
	return strings.ToLower(rest), nil
}

// basicHost returns the form in which Tekton wants a host for a password: the URL of the host or
// of one repository.
//
// Tekton (v1.15.0, pkg/credentials/gitcreds) sets useHttpPath for a URL with a path. For every
// URL below it git then compares the whole path with that of the password, so a group's URL takes
// the password from all of its repositories.
func basicHost(written string) (string, error) {
	full := written
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		strings.ContainsAny(full, " *?#="):
		return "", fmt.Errorf("host %q: a password needs the URL of a host, such as https://git.example.com, or that of a "+
			"whole repository, such as https://git.example.com/team/app.git", clients.WithoutLogin(written))
	case u.User != nil:
		return "", fmt.Errorf("host %q: leave user and password out of the URL, since everyone who may read the "+
			"Secret's annotations sees it: name the user with --username", clients.WithoutLogin(written))
	}
	u.Host = strings.ToLower(u.Host) // git compares it with case: see caseWarning
	root := u.Scheme + "://" + u.Host
	if isGroup(u) {
		return "", fmt.Errorf("host %q: git finds no password for repositories below a group's URL: name the host, %s, "+
			"or the URL of each whole repository, such as %s/REPOSITORY.git", written, root, root+path.Clean(u.Path))
	}
	if u.Path = path.Clean("/" + u.Path); u.Path == "/" {
		u.Path = ""
	}
	u.RawPath = ""
	return u.String(), nil
}

// caseWarning says that a host is written in lower case, or is empty. git (2.39) and ssh (9.2)
// compare a host with case.
func caseWarning(written string) string {
	host := written
	if _, after, found := strings.Cut(host, "://"); found {
		host = after
	}
	host, _, _ = strings.Cut(host[strings.LastIndex(host, "@")+1:], "/")
	lower := strings.ToLower(host)
	if lower == host {
		return ""
	}
	return fmt.Sprintf("%s is written as %s, since git and ssh tell capitals apart: "+
		"write the host in lower case in your repositories' URLs, too", host, lower)
}

// isGroup reports whether a URL cannot be a repository's at a forge: it has a path of one
// segment. Of two segments, the second may be a repository or a group in a group.
func isGroup(u *url.URL) bool {
	segments := strings.Trim(path.Clean("/"+u.Path), "/")
	return segments != "" && !strings.Contains(segments, "/") && !strings.HasSuffix(segments, ".git")
}

// hostWarnings name what of a host's URL works otherwise than one may expect.
func hostWarnings(host string) []string {
	u, err := url.Parse(host)
	if err != nil {
		return nil
	}
	var warnings []string
	if u.Port() == defaultPort(u) && u.Port() != "" {
		warnings = append(warnings, fmt.Sprintf("%s counts only for URLs that spell out the port: leave it out if "+
			"yours do not", host))
	}
	if u.Path != "" && !strings.HasSuffix(u.Path, ".git") {
		warnings = append(warnings, fmt.Sprintf("%s is taken for a repository whose URL has no .git; if it is a group, "+
			"its repositories get no password: name the host, %s://%s", host, u.Scheme, u.Host))
	}
	return warnings
}

func defaultPort(u *url.URL) string {
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// gitURL is a URL in an annotation of a Secret.
type gitURL struct {
	secret, annotation, written string
	parsed                      *url.URL // nil if it has no scheme, as those of SSH keys
}

// gitURLs returns the URLs of a Secret in the order in which Tekton writes them.
func gitURLs(secret string, annotations map[string]string) []gitURL {
	var all []gitURL
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(key, gitPrefix) {
			continue
		}
		g := gitURL{secret: secret, annotation: key, written: annotations[key]}
		if u, err := url.Parse(g.written); err == nil && u.Host != "" {
			g.parsed = u
		}
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b gitURL) int { return cmp.Compare(a.written, b.written) })
	return all
}

// root returns the host as git tells hosts apart, without a path and the default port.
func (g gitURL) root() string {
	host := g.parsed.Hostname()
	if port := g.parsed.Port(); port != "" && port != defaultPort(g.parsed) {
		host += ":" + port
	}
	return g.parsed.Scheme + "://" + host
}

func (g gitURL) whole() bool { return strings.Trim(g.parsed.Path, "/") == "" }

func (g gitURL) removal(namespace string) string {
	return fmt.Sprintf("`kubectl -n %s annotate secret %s %s-`", namespace, g.secret, g.annotation)
}

// clash returns why no step of a run would start: Tekton accepts each URL once.
func clash(namespace, name string, urls []gitURL) error {
	for _, own := range urls {
		for _, other := range urls {
			if own.secret == name && other.secret != name && own.parsed != nil && own.written == other.written {
				return fmt.Errorf("adding %s: Secret %s/%s of the ServiceAccount has it already, and Tekton ends every step "+
					"of a run that has two: change that Secret, or run %s", own.written, namespace, other.secret,
					other.removal(namespace))
			}
		}
	}
	return nil
}

// conflicts names the URLs of a ServiceAccount's Secrets that take passwords from one another. own
// is the Secret that is written, whose URLs without a scheme do not work.
func conflicts(namespace, own string, urls []gitURL) []string {
	var warnings []string
	for i, g := range urls {
		if g.parsed == nil {
			if g.secret == own {
				warnings = append(warnings, fmt.Sprintf("%s of Secret %s/%s has no scheme, so git finds no password: write it "+
					"as https://%s, or run %s", g.written, namespace, g.secret, g.written, g.removal(namespace)))
			}
			continue
		}
		if isGroup(g.parsed) {
			warnings = append(warnings, fmt.Sprintf("%s of Secret %s/%s is a group's URL, so git finds no password for "+
				"repositories below it, not even that of the host: run %s", g.written, namespace, g.secret,
				g.removal(namespace)))
		}
		for _, later := range urls[i+1:] {
			warnings = append(warnings, g.hiddenBy(later, namespace)...)
		}
	}
	return warnings
}

// hiddenBy returns what the later URL takes from an earlier one. Of the settings that count for a
// repository git takes the user from the last, and then looks only for that user's password.
func (g gitURL) hiddenBy(later gitURL, namespace string) []string {
	if later.parsed == nil || later.secret == g.secret || g.root() != later.root() || !later.whole() {
		return nil
	}
	if g.whole() {
		return []string{fmt.Sprintf("Secrets %s/%s and %s/%s are both for all of %s: only that of the later, %s, is used",
			namespace, g.secret, namespace, later.secret, g.root(), later.secret)}
	}
	return []string{fmt.Sprintf("%s of Secret %s/%s is not used, since Secret %s for the whole host comes after it in "+
		"the ServiceAccount: list that one first", g.written, namespace, g.secret, later.secret)}
}
