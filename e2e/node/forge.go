package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	transport, err := n.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	address := "https://" + net.JoinHostPort(ForgeHost, gitea.Port) + path
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "token "+token)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 300 {
		return nil
	}
	problem, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, problem)
}
