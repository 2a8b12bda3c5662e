package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tekgate/tekgate/e2e/gitea"
)

// ForgeHost is where Gitea is, behind HTTPS with the authority of the registries, and SSH.
const ForgeHost = "forge.example.com"

// The owner of the forge's repositories. The password opens nothing outside of the node.
const (
	ForgeUser     = "team"
	forgePassword = "only-inside-the-node"
)

// StartForge starts Gitea until the node ends, with the empty repository team/app, which the node's
// key for private repositories opens. It returns a token of their owner.
func (n *Node) StartForge(ctx context.Context) (token string, err error) {
	options := gitea.Options{
		Host: ForgeHost, Address: forgeAddress, Dir: filepath.Join(n.parts.Dir, "gitea"),
		Certificate: n.certificateFile, Key: n.keyFile,
	}
	args, err := n.parts.Gitea.Configure(options)
	if err != nil {
		return "", err
	}
	p, err := n.run(args[0], args[1:]...)
	if err != nil {
		return "", err
	}
	answers := func(ctx context.Context) error {
		return n.forge(ctx, "", http.MethodGet, "/api/healthz", nil)
	}
	if err := until(ctx, time.Minute, p, answers); err != nil {
		return "", err
	}
	if token, err = n.parts.Gitea.AddUser(ctx, options, ForgeUser, forgePassword); err != nil {
		return "", err
	}
	public, err := os.ReadFile(n.GitKey + ".pub")
	if err != nil {
		return "", err
	}
	err = n.forge(ctx, token, http.MethodPost, "/api/v1/user/keys", map[string]any{
		"title": "builds", "key": string(public),
	})
	if err != nil {
		return "", err
	}
	return token, n.forge(ctx, token, http.MethodPost, "/api/v1/user/repos", map[string]any{
		"name": "app", "private": true, "default_branch": "main",
	})
}

// forge sends a request to the forge's API, and fails unless the answer is a success.
func (n *Node) forge(ctx context.Context, token, method, path string, content map[string]any) error {
	_, err := n.AskForge(ctx, token, method, path, content)
	return err
}

// AskForge sends a request to the forge's API, and returns the answer, which has to be a success.
func (n *Node) AskForge(ctx context.Context, token, method, path string, content map[string]any) (string, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		header.Set("Authorization", "token "+token)
	}
	return n.forgeAnswer(ctx, nil, header, method, path, string(text))
}

// PressForge is what a browser of the owner's sends, who has signed in.
func (n *Node) PressForge(ctx context.Context, method, path string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	// Forms of other sites are refused by these headers.
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}
	form := url.Values{"user_name": {ForgeUser}, "password": {forgePassword}}
	if _, err := n.forgeAnswer(ctx, jar, header, http.MethodPost, "/user/login", form.Encode()); err != nil {
		return "", err
	}
	return n.forgeAnswer(ctx, jar, header, method, path, "")
}

// forgeAnswer sends a request, and returns the body of an answer that is a success or redirects.
func (n *Node) forgeAnswer(ctx context.Context, jar http.CookieJar, header http.Header, method, path, body string) (
	string, error) {
	transport, err := n.transport()
	if err != nil {
		return "", err
	}
	defer transport.CloseIdleConnections()
	address := "https://" + net.JoinHostPort(ForgeHost, gitea.Port) + path
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header = header
	client := &http.Client{Transport: transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return string(text), nil
}
