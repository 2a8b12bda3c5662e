package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/credentials"
	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// loginFlags say which registries, and where their passwords are read.
type loginFlags struct {
	servers  []string
	username string
	password string
	config   string
	pathKeys bool
}

func (l *loginFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&l.servers, "server", nil,
		"`HOST` of a registry; with --docker-config take only these (then repeatable)")
	f.StringVar(&l.username, "username", "", "`NAME` of the user")
	f.StringVar(&l.password, "password-file", "",
		"`FILE` of the password or token, or - for standard input; without it the command asks")
	f.StringVar(&l.config, "docker-config", "",
		"`FILE` that docker login wrote, such as ~/.docker/config.json, or - for standard input")
	f.BoolVar(&l.pathKeys, "path-keys", false,
		"also write keys with a path, such as registry.example.com/team, and print how each client treats them")
}

func (l *loginFlags) read(streams cli.Streams) (credentials.Registry, error) {
	if l.config != "" {
		if l.username != "" || l.password != "" {
			return credentials.Registry{},
				errors.New("--docker-config holds user and password: leave out --username and --password-file")
		}
		text, err := streams.ReadFile("the Docker configuration", l.config)
		if err != nil {
			return credentials.Registry{}, err
		}
		return credentials.FromDockerConfig(text, l.servers, l.pathKeys)
	}
	if len(l.servers) != 1 || l.username == "" {
		return credentials.Registry{},
			errors.New("a registry and a user have to be named: pass one --server and --username, or --docker-config")
	}
	password, err := readPassword(streams, l.password)
	if err != nil {
		return credentials.Registry{}, err
	}
	return credentials.Login(l.servers[0], l.username, password, l.pathKeys)
}

// remark prints what the user should know about the credentials before they are written.
func remark(streams cli.Streams, registry credentials.Registry) {
	for _, note := range registry.Notes() {
		fmt.Fprintln(streams.ErrOut, "note:", note)
	}
	warn(streams, registry.Warnings())
	paths := registry.PathKeys()
	if len(paths) == 0 {
		return
	}
	fmt.Fprintf(streams.ErrOut, "how clients honor keys with a path, such as %s:\n", paths[0])
	table := tabwriter.NewWriter(streams.ErrOut, 0, 0, 2, ' ', 0)
	for _, client := range clients.Clients {
		fmt.Fprintf(table, "  %s\t%s\n", client.Name, client.PathKeys)
	}
	_ = table.Flush()
}

func registryCommand() *cobra.Command {
	var (
		g giving
		l loginFlags
	)
	cmd := &cobra.Command{
		Use:   "registry NAME",
		Short: "Give runs the password of a registry to push to",
		Long: `Write the Secret NAME with the passwords of registries, and add it to a
ServiceAccount. Every step of a run under that ServiceAccount then finds it in
/tekton/creds/.docker, where Tekgate makes Kaniko look.

The Secret has the one form that every client reads: user, password and auth; the
plain host as key; and https://index.docker.io/v1/ for Docker Hub, however the file
or --server spells it. Keys with a path are left out, since clients treat them
differently: --path-keys writes them, and prints how. The command
` + "`tekgate credentials explain`" + ` shows what each client sends for an image.`,
		Example: `  tekgate credentials registry harbor --server harbor.example.com --username robot -n ci --service-account builder

  tekgate credentials registry docker --docker-config ~/.docker/config.json --server docker.io`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			registry, err := l.read(cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			w, err := g.writer(cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			remark(cli.StreamsOf(cmd), registry)
			return w.Registry(cmd.Context(), g.namespace, g.account, args[0], registry)
		},
	}
	l.flags(cmd)
	g.flags(cmd)
	g.accountFlags(cmd)
	return cmd
}

// pullFlags are what the command line says.
type pullFlags struct {
	giving
	loginFlags
	namespaces []string
}

func pullCommand() *cobra.Command {
	var p pullFlags
	cmd := &cobra.Command{
		Use:   "pull NAME",
		Short: "Let the kubelet pull from a mirror that asks for a password",
		Long: `Write the pull Secret NAME into Tekton's and Tekgate's namespaces and those that
--namespace names, and add it to all ServiceAccounts by which images of the
mirror are pulled there: those of Tekton and Tekgate; in the other namespaces
default and those of EventListeners; and, by Tekton's default-pod-template, those
of all runs, whose Pods hold images of Tekton's own.

The Secret has the same form as that of ` + "`tekgate credentials registry`" + `.`,
		Example: `  tekgate credentials pull mirror --server registry.example.com --username robot --namespace ci --namespace team-a`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), cli.StreamsOf(cmd), args[0])
		},
	}
	p.loginFlags.flags(cmd)
	p.giving.flags(cmd)
	cmd.Flags().StringArrayVarP(&p.namespaces, "namespace", "n", nil,
		"`NAMESPACE` in which runs or EventListeners need the mirror (repeatable)")
	return cmd
}

func (p *pullFlags) run(ctx context.Context, streams cli.Streams, name string) error {
	registry, err := p.read(streams)
	if err != nil {
		return err
	}
	w, err := p.writer(streams)
	if err != nil {
		return err
	}
	accounts, elsewhere, err := p.accounts(ctx, w)
	if err != nil {
		return err
	}
	remark(streams, registry)
	if len(accounts) == 0 {
		return errors.New(
			"neither Tekton nor Tekgate is installed, and no namespace is named: run `tekgate install` first, or pass --namespace")
	}
	if len(elsewhere) > 0 {
		warn(streams, []string{"EventListeners in namespace " + strings.Join(elsewhere, ", ") +
			" pull from the mirror too: name these with --namespace to give them the Secret"})
	}
	if err := w.Pull(ctx, name, registry, accounts); err != nil {
		return err
	}
	if len(accounts[wellknown.PipelinesNamespace]) == 0 {
		return nil
	}
	fmt.Fprintf(streams.ErrOut,
		"a run finds the Secret only in namespaces that have it, and a podTemplate with imagePullSecrets of its own replaces it\n")
	return w.DefaultPull(ctx, name)
}

// accounts returns the ServiceAccounts that get the Secret, and the other
// namespaces in which there are EventListeners.
func (p *pullFlags) accounts(
	ctx context.Context, w credentials.Writer,
) (accounts map[string][]string, elsewhere []string, err error) {
	accounts, err = w.SystemAccounts(ctx, slices.Concat(live.Namespaces, live.ComponentNamespaces)...)
	if err != nil {
		return nil, nil, err
	}
	listeners, err := w.ListenerAccounts(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, namespace := range p.namespaces {
		accounts[namespace] = append(accounts[namespace], "default")
	}
	for _, namespace := range slices.Sorted(maps.Keys(listeners)) {
		if len(accounts[namespace]) == 0 {
			elsewhere = append(elsewhere, namespace)
			continue
		}
		accounts[namespace] = append(accounts[namespace], listeners[namespace]...)
	}
	for namespace, names := range accounts {
		slices.Sort(names)
		accounts[namespace] = slices.Compact(names)
	}
	return accounts, elsewhere, nil
}
