package release

import (
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/registry"
)

// Registries are the flags for access to registries.
type Registries struct {
	CAFile    string
	plainHTTP []string
}

// Flags adds the flags to a command.
func (r *Registries) Flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.CAFile, "ca-file", "", "PEM `FILE` of certificate authorities to trust besides the system's")
	f.StringArrayVar(&r.plainHTTP, "plain-http", nil,
		"`HOST` and port of a registry to speak to without TLS, passwords included (repeatable; hosts of this machine need none)")
}

// Empty reports whether no flag was given.
func (r *Registries) Empty() bool { return r.CAFile == "" && len(r.plainHTTP) == 0 }

// Options returns the options for access.
func (r *Registries) Options() registry.Options {
	return registry.Options{CAFile: r.CAFile, PlainHTTP: r.plainHTTP}
}
