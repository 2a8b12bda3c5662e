package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge"
)

// The files in the folder that --credentials names, which are keys of a Secret.
const (
	statusToken = "token"
	statusCA    = "ca.crt"
)

func reportCommand() *cobra.Command {
	var r reporting
	cmd := &cobra.Command{
		Use:   "report-status {OWNER/NAME | CLONE-URL}",
		Short: "Report the status of a commit to its forge",
		Long: `Report to the forge what became of a commit: pending, success, failure or error, with a
link. "tekgate hook scaffold --status" writes the Task whose step runs this command; it can be
a step of any other Task, too.

gitea (and Forgejo), github and gitlab show a commit status. Gitee's API has check runs
instead, which this command begins and ends. GitCode's API has neither: the result becomes a
comment on the commit, and pending is not reported.

--state also takes what Tekton's $(tasks.status) says: Succeeded and Completed are success,
Failed is failure, and None is error.

The access token comes from a file, an environment variable or a folder in which a Secret is
mounted, never from an argument. A commit that is no whole hash is refused before the token is
sent.`,
		Example: `  tekgate hook report-status https://gitee.com/team/app.git --sha "$SHA" --state pending \
    --token-file gitee-token
  # in a step, with a Secret that has the keys token and, for an authority of your own, ca.crt
  tekgate hook report-status team/app --provider gitea --api-url https://git.example.com \
    --sha=$(params.revision) --state=$(params.state) --credentials /etc/tekgate-status`,
		Args: oneRepository,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd.Context(), cli.StreamsOf(cmd), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.forge, "provider", "",
		"`NAME` of the forge: gitee, gitcode, github, gitlab, gitea or forgejo (default: that of a clone URL with a known host)")
	f.StringVar(&r.api, "api-url", "",
		"base `URL` of the API of a forge of your own (default: that of the clone URL's host, or the public one)")
	f.StringVar(&r.caFile, "ca-file", "", "`FILE` with authorities, in PEM, that are trusted beside the system's")
	f.BoolVar(&r.plainHTTP, "plain-http", false, "allow an http:// API, which receives the token without encryption")
	f.StringVar(&r.status.SHA, "sha", "", "whole `HASH` of the commit, such as $(extensions.git.sha)")
	f.StringVar(&r.state, "state", "", "`STATE`: pending, success, failure or error")
	f.StringVar(&r.status.Context, "context", "tekgate", "`NAME` that tells the statuses of a commit apart")
	f.StringVar(&r.status.Description, "description", "", "`TEXT` of one line (default: one that fits the state)")
	f.StringVar(&r.status.TargetURL, "target-url", "", "`URL` to which the status links, such as the run in a dashboard")
	f.StringVar(&r.tokenFile, "token-file", "", "`FILE` with the forge's access token; - for standard input")
	f.StringVar(&r.tokenEnv, "token-env", "", "environment `VARIABLE` with the token")
	f.StringVar(&r.credentials, "credentials", "",
		"`FOLDER` with the file token and, for an authority of your own, ca.crt: a Secret that is mounted")
	return cmd
}

// reporting is one status to report. The token's rules are a registration's.
type reporting struct {
	registration
	credentials string
	state       string
	status      forge.Status
}

func (r *reporting) run(ctx context.Context, streams cli.Streams, repository string) error {
	at, err := forge.Locate(repository, forge.Forge(r.forge), r.api)
	var unknown *forge.UnknownError
	if errors.As(err, &unknown) {
		unknown.Of = forge.WithStatus()
	}
	if err != nil {
		return err
	}
	if r.plainHTTP && r.api == "" {
		at = at.Plain(repository)
	}
	if err := at.Forge.CheckStatus(); err != nil {
		return err
	}
	if err := r.complete(); err != nil {
		return err
	}
	token, ca, err := r.secrets(ctx, streams, at.Forge)
	if err != nil {
		return err
	}
	o := forge.Options{Repository: at, Token: token, CA: ca, PlainHTTP: r.plainHTTP}
	as, err := forge.SetStatus(ctx, o, r.status)
	var failure *forge.Error
	if r.credentials != "" && errors.As(err, &failure) {
		failure.Authorities = "as the key ca.crt of the Secret that is mounted at --credentials"
	}
	switch {
	case err != nil:
		return fmt.Errorf("reporting %s: %w", r.status.State, err)
	case as == forge.AsNothing:
		_, err = fmt.Fprintf(streams.Out, "%s of commit %s is not reported: the API of %s has no commit statuses, so the result "+
			"becomes a comment\n", r.status.State, r.status.SHA, at.Forge.Title())
	default:
		_, err = fmt.Fprintf(streams.Out, "%s %s of commit %s of %s is reported to %s\n", as, r.status.State,
			r.status.SHA, plain(at.Path()), at.Forge.Title())
	}
	return err
}

// outcomes are the states of Tekton's $(tasks.status).
var outcomes = map[string]forge.State{
	"Succeeded": forge.Success, "Completed": forge.Success, "Failed": forge.Failure, "None": forge.Errored,
}

// descriptions are the descriptions of states where no other is given.
var descriptions = map[forge.State]string{
	forge.Pending: "the run has started", forge.Success: "the run has succeeded", forge.Failure: "the run has failed",
	forge.Errored: "the run ended before its tasks did",
}

// complete derives the state and the description.
func (r *reporting) complete() error {
	if r.state == "" || r.status.SHA == "" {
		return errors.New("--sha and --state are needed: the commit, and what became of it")
	}
	r.status.State = forge.State(r.state)
	if state, found := outcomes[r.state]; found {
		r.status.State = state
	}
	if r.status.Description == "" {
		r.status.Description = descriptions[r.status.State]
	}
	return nil
}

// secrets reads the token and the authorities.
func (r *reporting) secrets(ctx context.Context, streams cli.Streams, at forge.Forge) (
	token string, ca []byte, err error) {
	if r.credentials == "" {
		if r.tokenFile != "" == (r.tokenEnv != "") {
			return "", nil, fmt.Errorf(
				"pass the access token with one of --credentials, --token-file and --token-env; it takes %s", at.StatusToken())
		}
		if token, err = r.token(ctx, streams, nil, at); err != nil || r.caFile == "" {
			return token, nil, err
		}
		ca, err = streams.ReadFile("the authorities", r.caFile)
		return token, ca, err
	}
	if r.tokenFile != "" || r.tokenEnv != "" || r.caFile != "" {
		return "", nil, errors.New("--credentials names a folder with all of them: leave out --token-file, --token-env and --ca-file")
	}
	text, err := streams.ReadFile("the token", filepath.Join(r.credentials, statusToken))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("folder %s has no file %s: create the Secret that is mounted there, with the key %[2]s and %s",
			plain(r.credentials), statusToken, at.StatusToken())
	}
	if err != nil {
		return "", nil, err
	}
	ca, err = r.mountedCA(streams)
	return trimToken(text), ca, err
}

// mountedCA reads the authorities in the folder. A key of the Secret that is left empty has none.
func (r *reporting) mountedCA(streams cli.Streams) ([]byte, error) {
	path := filepath.Join(r.credentials, statusCA)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	return streams.ReadFile("the authorities", path)
}
