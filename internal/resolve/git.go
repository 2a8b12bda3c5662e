package resolve

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// git fetches files of repositories by the command git: it has the user's credential helpers, SSH, proxies,
// certificates and insteadOf, of which a library knows few.
type git struct{ options Options }

func (q Request) revision() string { return cmp.Or(q.Params["revision"], "main") }

// secureShell matches git's short form of an address, user@host:path.
var secureShell = lazyregexp.New(`^[A-Za-z0-9_][^\s/:@]*@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[^:]`)

// refName matches the revisions that are asked for: no options, no refspecs, no expressions of git.
var refName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_./+@=,-]*$`)

// address returns the address of a reference's repository, or what takes its place.
func (g *git) address(q Request) (string, error) {
	written := q.Params["url"]
	if written == "" {
		return "", errors.New("the reference has no param url, and repositories that are read by a forge's API cannot be " +
			"resolved here: give url, revision and pathInRepo")
	}
	address := g.options.mirrored(written)
	bad := fmt.Errorf("%q is no address of a repository: write https://… or ssh://…", redacted(address))
	if strings.ContainsFunc(address, unicode.IsControl) {
		return "", bad
	}
	if secureShell.MatchString(address) && !strings.Contains(address, "://") {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") {
		return "", bad
	}
	if u.Scheme == "ssh" {
		return address, nil
	}
	return address, g.options.mayPlain(u)
}

func (g *git) fetch(ctx context.Context, q Request) (fetched, error) {
	address, err := g.address(q)
	if err != nil {
		return fetched{}, err
	}
	revision, file := q.revision(), strings.TrimPrefix(path.Clean("/"+q.Params["pathInRepo"]), "/")
	if !refName.MatchString(revision) || strings.Contains(revision, "..") || strings.Contains(revision, "@{") {
		return fetched{}, fmt.Errorf("%q is no revision: write a branch, a tag or a commit", revision)
	}
	if file == "" {
		return fetched{}, errors.New("the reference does not say which file of the repository: give the param pathInRepo")
	}
	if _, err := exec.LookPath("git"); err != nil {
		return fetched{}, errors.New("the command git is not installed, and it fetches what the git resolver refers to: " +
			"install it")
	}
	folder, err := os.MkdirTemp("", "tekgate-git-")
	if err != nil {
		return fetched{}, err
	}
	defer os.RemoveAll(folder)
	c := checkout{folder: folder, shown: redacted(address)}
	if err := c.prepare(address); err != nil {
		return fetched{}, err
	}
	_, err = c.run(ctx, "config", "--get", "core.sshCommand")
	c.ssh = err == nil
	at, err := c.fetch(ctx, revision)
	if err != nil {
		return fetched{}, err
	}
	text, err := c.file(ctx, at, file)
	return fetched{text, at, c.shown}, err
}

// checkout is a bare repository for one request.
type checkout struct {
	folder string
	shown  string // the address without credentials
	ssh    bool   // whether git's configuration names a program for SSH
}

// prepare writes the repository. The address is in a file that only this user reads, since it may hold a
// password, and arguments are public.
func (c checkout) prepare(address string) error {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(address)
	config := "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\thooksPath = /dev/null\n" +
		"[remote \"origin\"]\n\turl = \"" + quoted + "\"\n\tpromisor = true\n\tpartialclonefilter = blob:none\n" +
		"[fetch]\n\trecurseSubmodules = false\n[http]\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 20\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
	for _, folder := range []string{"objects", "refs"} {
		if err := os.Mkdir(filepath.Join(c.folder, folder), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(c.folder, "HEAD"), []byte("ref: refs/heads/none\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.folder, "config"), []byte(config), 0o600)
}

// fetch gets a revision and returns its commit. Servers that refuse to send a commit by its name, as old
// ones do, are asked for all branches and tags.
func (c checkout) fetch(ctx context.Context, revision string) (string, error) {
	_, err := c.run(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--filter=blob:none", "origin", revision)
	at := "FETCH_HEAD^{commit}"
	if err != nil && commit.MatchString(revision) && !errors.As(err, new(unreachable)) && ctx.Err() == nil {
		_, err = c.run(ctx, "fetch", "--quiet", "--filter=blob:none", "origin", "+refs/heads/*:refs/heads/*",
			"+refs/tags/*:refs/tags/*")
		at = revision + "^{commit}"
	}
	if err != nil {
		return "", err
	}
	out, err := c.run(ctx, "rev-parse", "--verify", "--quiet", at)
	if err != nil {
		return "", fmt.Errorf("%s has no commit %s: correct the param revision", c.shown, revision)
	}
	return strings.TrimSpace(string(out)), nil
}

// file returns a file of a commit.
func (c checkout) file(ctx context.Context, at, name string) ([]byte, error) {
	listed, err := c.run(ctx, "--literal-pathspecs", "ls-tree", "-z", at, "--", name)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(listed)) // mode, type, object, name
	if len(fields) < 4 {
		return nil, fmt.Errorf("%s has no file %s at %.12s: correct the param pathInRepo", c.shown, name, at)
	}
	if fields[1] != "blob" || fields[0] == "120000" {
		return nil, fmt.Errorf("%s in %s at %.12s is no regular file: correct the param pathInRepo", name, c.shown, at)
	}
	size, err := c.run(ctx, "cat-file", "-s", fields[2])
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(size))); err != nil || n > MaxSize {
		return nil, fmt.Errorf("%s in %s is larger than %d MiB: no definition is that large, check the param pathInRepo", name,
			c.shown, MaxSize>>20)
	}
	return c.run(ctx, "cat-file", "blob", fields[2])
}

// run runs git, which asks nobody for anything.
func (c checkout) run(ctx context.Context, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + c.folder}, arguments...)...)
	command.Dir, command.Env = c.folder, gitEnvironment(os.Environ(), c.ssh)
	command.WaitDelay = time.Second
	alone(command)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	err := command.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, c.explain(errOut.String())
}

// gitEnvironment is an environment in which git prompts for nothing, and in which the variables that git
// sets for hooks do not lead it to another repository. A program for SSH that the user chose stays.
func gitEnvironment(environment []string, ssh bool) []string {
	own := map[string]bool{}
	kept := slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		own[name] = true
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
			"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_TRACE",
			"GIT_TRACE_CURL", "GIT_CURL_VERBOSE", "GIT_ASKPASS", "LC_ALL", "LANGUAGE"}, name)
	})
	kept = append(kept, "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS_REQUIRE=never", "GCM_INTERACTIVE=never",
		"GIT_ALLOW_PROTOCOL=https:http:ssh", "LC_ALL=C")
	if !ssh && !own["GIT_SSH_COMMAND"] && !own["GIT_SSH"] {
		kept = append(kept, "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
	}
	return kept
}

// explain says in a sentence what git printed.
func (c checkout) explain(said string) error {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	text := strings.TrimPrefix(strings.TrimPrefix(lines[0], "fatal: "), "error: ")
	for _, known := range []struct{ sign, remedy string }{
		{"could not read Username", "put credentials for it where git finds them: a credential helper, ~/.netrc or SSH"},
		{"could not read Password", "put credentials for it where git finds them: a credential helper, ~/.netrc or SSH"},
		{"Authentication failed", "correct the credentials that git has for it"},
		{"Permission denied", "give git an SSH key that may read it"},
		{"returned error: 401", "put credentials for it where git finds them: a credential helper, ~/.netrc or SSH"},
		{"returned error: 403", "use credentials that may read it"},
		{"not found", "correct the param url, or name the right server with --resolve-url"},
		{"couldn't find remote ref", "correct the param revision"},
		{"not our ref", "correct the param revision"},
		{"certificate", "name its certificate authority in git's configuration, as http.sslCAInfo"},
	} {
		if strings.Contains(said, known.sign) {
			return fmt.Errorf("fetching %s: git said %q: %s", c.shown, text, known.remedy)
		}
	}
	return unreachable{fmt.Errorf("fetching %s: git said %q: check the network and the address, or name a mirror with "+
		"--resolve-url", c.shown, text)}
}
