package clients

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation is what one client sends for an image, and why where that is surprising.
type Explanation struct {
	Client  string `json:"client"`
	Library string `json:"library"`
	// Result is password, token, anonymous, random or error.
	Result string `json:"result"`
	// Sends are the credentials in the order in which they are tried; with result random, one of
	// these is sent.
	Sends  []Credential `json:"sends"`
	Why    string       `json:"why,omitempty"`
	Remedy string       `json:"remedy,omitempty"`

	steps [][]string
}

// Credential names a credential without its secret part. All fields are empty for none.
type Credential struct {
	Key      string `json:"key,omitempty"`
	Username string `json:"username,omitempty"`
	Token    bool   `json:"token,omitempty"`
}

// Explain returns what every client sends for an image, given a Secret.
func Explain(source Source, image Image) []Explanation {
	var all []Explanation
	for _, client := range Clients {
		all = append(all, client.explain(source, image))
	}
	return all
}

func (c Client) explain(source Source, image Image) Explanation {
	answer := c.answer(c.reads(source), image)
	e := Explanation{Client: c.Name, Library: c.Library, Result: result(answer), Sends: []Credential{}}
	for _, step := range answer.Steps {
		var names []string
		for _, s := range step {
			names = append(names, s.name())
			if s.Fails == "" && (len(answer.Sends()) > 1 || !s.Anonymous()) {
				e.Sends = append(e.Sends, s.credential())
			}
		}
		e.steps = append(e.steps, names)
	}
	if c.Pulls && source.StepsOnly {
		e.Why, e.Remedy = "only Tekton's steps read a Secret of type kubernetes.io/basic-auth", "use `tekgate credentials pull`"
		return e
	}
	e.Why, e.Remedy = c.surprise(source.Config, image, answer)
	return e
}

func (s Sent) credential() Credential {
	switch {
	case s.Anonymous():
		return Credential{}
	case s.Bare(): // what stands there may be a token
		return Credential{Key: WithoutLogin(s.Key)}
	}
	return Credential{Key: WithoutLogin(s.Key), Username: s.Username, Token: s.Token()}
}

func (s Sent) name() string {
	switch {
	case s.Fails != "":
		return "an error"
	case s.Anonymous():
		return "nothing (anonymous)"
	case s.Token():
		return WithoutLogin(s.Key) + " (token)"
	case s.Bare():
		return WithoutLogin(s.Key) + " (a user without a password)"
	}
	return WithoutLogin(s.Key) + " (user " + s.Username + ")"
}

func result(a Answer) string {
	sends := a.Sends()
	switch {
	case !a.All && a.Random():
		return "random"
	case sends[0].Fails != "":
		return "error"
	case slices.ContainsFunc(sends, func(s Sent) bool { return s.Token() }):
		return "token"
	case slices.ContainsFunc(sends, func(s Sent) bool { return !s.Anonymous() }):
		return "password"
	}
	return "anonymous"
}

// String returns what is sent, in words.
func (e Explanation) String() string {
	var steps []string
	for _, names := range e.steps {
		names = slices.Compact(slices.Clone(names))
		switch {
		case len(names) > 1 && e.Result == "random":
			steps = append(steps, "one of "+strings.Join(names, ", ")+" at random")
		case len(names) > 1:
			steps = append(steps, strings.Join(names, " and ")+" in random order")
		default:
			steps = append(steps, names[0])
		}
	}
	return strings.Join(steps, ", then ")
}

const (
	rewrite = "write the Secret with `tekgate credentials registry` or `pull`, which also take a file with --docker-config"
	oneUser = "use one account per host; for an account per repository give each run a Secret of its own"
)

// surprise returns why an answer is not what one would expect, and what to do.
func (c Client) surprise(secret Config, image Image, answer Answer) (why, remedy string) {
	sends := answer.Sends()
	if i := slices.IndexFunc(sends, func(s Sent) bool { return s.Fails != "" }); i >= 0 {
		return failed(sends[i])
	}
	if result(answer) == "random" {
		return c.atRandom(secret, image)
	}
	if result(answer) == "anonymous" || sends[0].Bare() {
		if e, ok := secret.get(sends[0].Key); ok {
			return c.unusable(e)
		}
		return c.nothing(secret, image)
	}
	if i := slices.IndexFunc(sends, func(s Sent) bool { return strings.HasSuffix(s.password, "\n") }); i >= 0 {
		return fmt.Sprintf("the password of %s ends with a line break, as `echo` adds one before `base64`, and is sent with it",
			WithoutLogin(sends[i].Key)), rewrite
	}
	return c.otherKey(secret, image, answer)
}

func failed(s Sent) (why, remedy string) {
	switch {
	case s.Fails == badReference:
		return s.Fails, ""
	case s.Key == "":
		return "one entry stops it for every image. " + s.Fails, "log in again. Then " + rewrite
	}
	return s.Fails, "log in again. Then " + rewrite
}

func (c Client) atRandom(secret Config, image Image) (why, remedy string) {
	for _, e := range secret {
		if key, err := ParseKey(e.Key); err == nil && key.Host == image.keyHost() && key.Path != "" {
			return fmt.Sprintf("there is no key for %s itself. How keys with a path count: %s", image.keyHost(), c.PathKeys),
				oneUser
		}
	}
	return "several keys name this host; which one is sent differs from run to run",
		fmt.Sprintf("keep one key: %s", Key{Host: image.keyHost()})
}

// nothing returns why a client sends nothing although there is an entry.
func (c Client) nothing(secret Config, image Image) (why, remedy string) {
	for _, e := range secret {
		key, err := ParseKey(e.Key)
		if err != nil {
			continue
		}
		if why, remedy = c.unread(e, key, image); why != "" {
			return why, remedy
		}
	}
	return "no entry is for " + image.keyHost(), ""
}

// unread returns why a client does not use an entry for an image, if the entry is near enough.
func (c Client) unread(e Entry, key Key, image Image) (why, remedy string) {
	_, password, err := e.Login()
	canonical := Key{Host: image.keyHost()}
	switch {
	case key.Wildcard() && covers(key.Host, image.Host()):
		return fmt.Sprintf("only the kubelet and Tekton's controller read wildcards such as %s", WithoutLogin(e.Key)),
			fmt.Sprintf("add a key for the host: %s", canonical)
	case key.Host != canonical.Host && strings.EqualFold(key.Host, canonical.Host):
		return fmt.Sprintf("the capitals of %s differ from those of the image's host", WithoutLogin(e.Key)),
			fmt.Sprintf("write the key as %s", canonical)
	case key.Host != canonical.Host && hostOnly(key.Host) == hostOnly(canonical.Host):
		return fmt.Sprintf("the port is part of the key, and %s has another one", WithoutLogin(e.Key)),
			fmt.Sprintf("write the key as %s", canonical)
	case key.Host != canonical.Host:
		return "", ""
	case key.Path != "" && !key.Covers(image):
		return fmt.Sprintf("%s is for other repositories", WithoutLogin(e.Key)), ""
	case key.Path != "":
		return fmt.Sprintf("%s has a path. How such keys count: %s", WithoutLogin(e.Key), c.PathKeys), oneUser
	case err == nil && password == "":
		return c.unusable(e)
	case e.Key != canonical.String() && c.finds(e, canonical, image):
		return fmt.Sprintf("it does not look for the key %s, but for %s", WithoutLogin(e.Key), canonical), rewrite
	}
	return c.unusable(e)
}

// unusable returns why a client finds an entry and nothing to send in it.
func (c Client) unusable(e Entry) (why, remedy string) {
	_, password, err := e.Login()
	switch {
	case err == nil && password != "" && e.Auth == "":
		return fmt.Sprintf("it reads only auth, which the entry of %s lacks", WithoutLogin(e.Key)), rewrite
	case err == nil && password != "":
		return fmt.Sprintf("it does not use the entry of %s", WithoutLogin(e.Key)), rewrite
	case err == nil && e.IdentityToken == "" && e.RegistryToken == "":
		return fmt.Sprintf("%s has no password: it may be in a credential store of another machine",
			WithoutLogin(e.Key)), passwordRemedy
	case err == nil && c.Pulls:
		return fmt.Sprintf("%s has only a token, which the kubelet does not read", WithoutLogin(e.Key)), passwordRemedy
	case err == nil:
		return fmt.Sprintf("%s has only a token, which Tekton leaves out of the steps' file", WithoutLogin(e.Key)), passwordRemedy
	}
	return err.Error(), rewrite
}

// finds reports whether the client would send an entry under another key.
func (c Client) finds(e Entry, key Key, image Image) bool {
	e.Key = key.String()
	return result(c.answer(Config{e}, image)) == "password"
}

const passwordRemedy = "create a password or access token for it, and pass --server, --username and --password-file"

func hostOnly(hostport string) string {
	host, _, _ := strings.Cut(hostport, ":")
	return host
}

// otherKey returns why a client sends another entry than the one that is most specific.
func (c Client) otherKey(secret Config, image Image, answer Answer) (why, remedy string) {
	first := answer.Sends()[0]
	key, err := ParseKey(first.Key)
	if err != nil {
		return "", ""
	}
	better := mostSpecific(secret, image)
	switch {
	case key.Path != "" && !key.Covers(image):
		return fmt.Sprintf("%s is for other repositories. How keys with a path count: %s", WithoutLogin(first.Key), c.PathKeys), oneUser
	case better.Path != "" && better != key && better.String() != first.Key:
		return fmt.Sprintf("%s is more specific. How keys with a path count: %s", better, c.PathKeys), oneUser
	case c.Pulls && !answer.All && len(kubelet(secret, image).Sends()) > 1:
		return "the kubelet tries further keys if the registry refuses this one; the controller does not", oneUser
	}
	return "", ""
}

// mostSpecific returns the key that is expected to count for an image.
func mostSpecific(secret Config, image Image) Key {
	var best Key
	for _, e := range secret {
		if key, err := ParseKey(e.Key); err == nil && key.Covers(image) && len(key.Path) >= len(best.Path) {
			best = key
		}
	}
	return best
}
