package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/forge"
)

// registration names a hook at a forge, and the trigger that it is for. It is what register,
// unregister and status have in common.
type registration struct {
	namespace, trigger string

	forge, api, caFile string
	plainHTTP          bool
	url, mode          string

	tokenFile, tokenEnv, tokenSecret string

	replicas replicaFlags
	output   cli.Output
}

func (r *registration) flags(cmd *cobra.Command) {
	r.replicas.kube.Add(cmd, "token") // it would be mistaken for the forge's
	r.replicas.placeFlags(cmd)
	r.output.Value(cmd, "text")
	f := cmd.Flags()
	f.StringVarP(&r.namespace, "namespace", "n", "default", "`NAMESPACE` of the Trigger and its Secret")
	f.StringVar(&r.trigger, "trigger", "",
		"`NAME` of the Trigger that the hook is for, or of a trigger or, as group/NAME, a trigger group of an EventListener")
	f.StringVar(&r.forge, "provider", "",
		"`NAME` of the forge: gitee, gitcode, github, gitlab, gitea, forgejo, gogs or bitbucket "+
			"(default: that of a clone URL with a known host, or of the Trigger)")
	f.StringVar(&r.url, "url", "", "public `URL` of the EventListener, to which the forge sends")
	f.StringVar(&r.api, "api-url", "",
		"base `URL` of the API of a forge of your own (default: that of the clone URL's host, or the public one)")
	f.StringVar(&r.caFile, "ca-file", "",
		"`FILE` with authorities, in PEM, that are trusted beside the system's for the API and the test delivery")
	f.BoolVar(&r.plainHTTP, "plain-http", false, "allow an http:// API, which receives the token without encryption")
	f.StringVar(&r.tokenFile, "token-file", "", "`FILE` with the forge's access token; - for standard input")
	f.StringVar(&r.tokenEnv, "token-env", "", "environment `VARIABLE` with the token")
	f.StringVar(&r.tokenSecret, "token-secret", "", "`NAME/KEY` of the Secret with the token, in the namespace")
}

// site is what a registration means: a repository with its hooks, and a trigger.
type site struct {
	client     client.Client
	params     map[string]any // the trigger's; provider and mode are set
	refs       [][2]string    // names and keys of its Secrets, the current one first
	repository forge.Repository
	forge      forge.Client
	hooks      []forge.Hook
	hook       *forge.Hook // the one with the URL; nil if there is none
	ca         []byte
}

func (s *site) mode() string {
	mode, _ := s.params["mode"].(string)
	return mode
}

// delete deletes a hook. One that is gone already is no error.
func (s *site) delete(ctx context.Context, id string) error {
	if err := s.forge.Delete(ctx, id); !forge.Gone(err) {
		return err
	}
	return nil
}

// find reads the trigger, and asks the forge for its hooks. It changes nothing.
func (r *registration) find(ctx context.Context, streams cli.Streams, repository string) (*site, error) {
	if err := r.output.Check(); err != nil {
		return nil, err
	}
	if err := checkURL(r.url); err != nil {
		return nil, err
	}
	if _, _, err := nameAndKey(r.tokenSecret); r.tokenSecret != "" && err != nil {
		return nil, fmt.Errorf("reading --token-secret: %w", err)
	}
	s := &site{params: map[string]any{}}
	var err error
	if r.trigger != "" || r.tokenSecret != "" {
		if s.client, err = r.replicas.kube.Client(); err != nil {
			return nil, err
		}
	}
	if r.trigger != "" {
		if s.params, err = triggerParams(ctx, s.client, r.namespace, r.trigger); err != nil {
			return nil, err
		}
		s.refs = secretRefs(s.params)
	}
	if s.repository, err = r.locate(repository, s.params); err != nil {
		return nil, err
	}
	if err := s.complete(r.trigger != "", r.mode); err != nil {
		return nil, err
	}
	if err := r.connect(ctx, streams, s); err != nil {
		return nil, err
	}
	hooks, err := s.forge.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the hooks of %s: %w", s.repository.Path(), err)
	}
	s.hooks = hooks
	s.hook, err = forge.Find(hooks, r.url)
	return s, err
}

// locate returns the repository. Gogs and Forgejo are gitea for the interceptor, so the
// Trigger's provider is the forge only where nothing else names it.
func (r *registration) locate(repository string, params map[string]any) (forge.Repository, error) {
	named := forge.Forge(r.forge)
	at, err := forge.Locate(repository, named, r.api)
	if of, _ := params["provider"].(string); err != nil && named == "" && slices.Contains(forge.All, forge.Forge(of)) {
		at, err = forge.Locate(repository, forge.Forge(of), r.api)
	}
	if r.plainHTTP && r.api == "" {
		at = at.Plain(repository)
	}
	return at, err
}

// complete sets provider and mode, which must be the forge's.
func (s *site) complete(fromTrigger bool, mode string) error {
	wanted := s.repository.Forge.Provider()
	sender, err := provider.Named(wanted)
	if err != nil {
		return err
	}
	if !fromTrigger {
		if mode == "" {
			mode = defaultMode(sender)
		}
		s.params["provider"], s.params["mode"] = wanted, mode
	}
	if is, _ := s.params["provider"].(string); is != wanted {
		return fmt.Errorf("the Trigger has the provider %q, but the hooks of %s need %q: correct --provider or the Trigger",
			plain(is), s.repository.Forge.Title(), wanted)
	}
	chosen, err := sender.Mode(s.mode())
	if err != nil {
		return err
	}
	s.params["mode"] = chosen.Name
	return nil
}

// connect makes the client of the forge.
func (r *registration) connect(ctx context.Context, streams cli.Streams, s *site) error {
	token, err := r.token(ctx, streams, s.client, s.repository.Forge)
	if err != nil {
		return err
	}
	if r.caFile != "" {
		if s.ca, err = streams.ReadFile("the authorities", r.caFile); err != nil {
			return err
		}
	}
	s.forge, err = forge.New(forge.Options{Repository: s.repository, Token: token, CA: s.ca, PlainHTTP: r.plainHTTP})
	return err
}

// token reads the access token.
func (r *registration) token(ctx context.Context, streams cli.Streams, c client.Client, at forge.Forge) (
	string, error) {
	given := 0
	for _, flag := range []string{r.tokenFile, r.tokenEnv, r.tokenSecret} {
		if flag != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return "", fmt.Errorf("pass the access token with one of --token-file, --token-env and --token-secret; it takes %s",
			at.Token())
	case r.tokenFile != "":
		text, err := streams.ReadFile("the token", r.tokenFile)
		return trimToken(text), err
	case r.tokenEnv != "":
		value := os.Getenv(r.tokenEnv)
		if value == "" {
			return "", fmt.Errorf("reading the token: the environment has no variable %s, or it is empty", r.tokenEnv)
		}
		return strings.TrimSpace(value), nil
	}
	name, key, err := nameAndKey(r.tokenSecret)
	if err != nil {
		return "", err
	}
	value, err := secretKey{client: c, namespace: r.namespace, name: name, key: key}.read(ctx)
	if err == nil && value.data == nil {
		err = fmt.Errorf("reading the token: Secret %s/%s does not exist, or has no key %s", r.namespace, name, key)
	}
	return trimToken(value.data), err
}

// trimToken returns the token in a file, without the byte order mark and line ends that
// editors add.
func trimToken(text []byte) string {
	return strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
}

// oneRepository is what the commands take as arguments.
func oneRepository(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("the repository is missing: pass OWNER/NAME or its clone URL")
	case len(args) > 1:
		return fmt.Errorf("%d arguments are given, and one repository is taken: pass OWNER/NAME or its clone URL alone",
			len(args))
	}
	return nil
}

// nameAndKey takes apart NAME/KEY. The text is in no error: it may be the secret itself.
func nameAndKey(text string) (name, key string, err error) {
	name, key, found := strings.Cut(text, "/")
	if !found || name == "" || key == "" {
		return "", "", errors.New("it has to be NAME/KEY of a Secret")
	}
	return name, key, nil
}

// checkURL checks the address to which a forge sends.
func checkURL(address string) error {
	if address == "" {
		return errors.New("--url is missing: pass the address at which the forge reaches the EventListener")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return errors.New("reading --url: it has to be https://HOST/PATH, without a user or a fragment")
	}
	return nil
}

// shown returns an address without its query, in which a secret may be.
func shown(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return plain(before)
}

// rawParams returns params for the interceptor.
func rawParams(params map[string]any) (json.RawMessage, error) { return json.Marshal(params) }

// listens reports whether a trigger of the interceptor's is the registration's.
func (r *registration) listens(namespace, trigger string) bool {
	return namespace == r.namespace && (r.trigger == "" || trigger == r.trigger)
}
