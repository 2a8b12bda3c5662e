package credentials

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/credentials"
)

// gitFlags are what the command line says.
type gitFlags struct {
	giving
	hosts      []string
	key        string
	knownHosts string
	username   string
	password   string
}

func gitCommand() *cobra.Command {
	var g gitFlags
	cmd := &cobra.Command{
		Use:   "git NAME",
		Short: "Give runs a key or a password for git servers",
		Long: `Write the Secret NAME with an SSH key, or a user and a password, for git servers,
mark it for their hosts, and add it to a ServiceAccount. Every step of a run
under that ServiceAccount then finds it in ~/.ssh or ~/.gitconfig.

For a password a host is a URL: that of the server, or that of one whole repository.
A group's URL is refused, because git finds no password for the repositories below
it.

A Secret of this command is brought up to date; hosts that it was for stay.`,
		Example: `  tekgate credentials git gitee --host gitee.com --ssh-key id_ed25519 --known-hosts known_hosts -n ci --service-account builder

  # a token from standard input
  tekgate credentials git github --host github.com --username x-access-token --password-file - < token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.run(cmd.Context(), cli.StreamsOf(cmd), args[0])
		},
	}
	g.flags(cmd)
	g.accountFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&g.hosts, "host", nil, "`HOST` of a git server, or for a password its URL or that of a whole repository (repeatable)")
	f.StringVar(&g.key, "ssh-key", "", "`FILE` of an SSH private key without a passphrase, or - for standard input")
	f.StringVar(&g.knownHosts, "known-hosts", "", "`FILE` of the servers' keys, as ssh-keyscan prints them")
	f.StringVar(&g.username, "username", "", "`NAME` of the user, for a password")
	f.StringVar(&g.password, "password-file", "",
		"`FILE` of the password or token, or - for standard input; without it the command asks")
	return cmd
}

func (g *gitFlags) run(ctx context.Context, streams cli.Streams, name string) error {
	git, err := g.read(streams)
	if err != nil {
		return err
	}
	w, err := g.writer(streams)
	if err != nil {
		return err
	}
	warn(streams, git.Warnings())
	return w.Git(ctx, g.namespace, g.account, name, git)
}

func (g *gitFlags) read(streams cli.Streams) (credentials.Git, error) {
	git := credentials.Git{Hosts: g.hosts, Username: g.username}
	var err error
	switch {
	case (g.key == "") == (g.username == ""):
		return git, errors.New("name either a key with --ssh-key or a user with --username")
	case g.key != "" && g.password != "":
		return git, errors.New("--password-file goes with --username; a key with a passphrase is of no use in a run")
	case g.key == "":
		git.Password, err = readPassword(streams, g.password)
		return git, err
	}
	if git.Key, err = streams.ReadFile("the SSH key", g.key); err != nil || g.knownHosts == "" {
		return git, err
	}
	git.KnownHosts, err = streams.ReadFile("the known hosts", g.knownHosts)
	return git, err
}
