#!/usr/bin/env bash
# A registry whose host has an underscore has no domain in distribution/reference.
#
# Software:    github.com/distribution/reference v0.6.0; crane's library, go-containerregistry v0.22.1.
# Likely guess: after ParseNormalizedNamed, Domain is the registry: docker.io if none is written. A
#              name whose host is not accepted is an error, as it is with a port.
# What happens: ParseNormalizedNamed accepts my_registry.local/team/app, Domain is empty and Path is
#              the whole name. With a port, the same host is an error ("invalid reference format").
#              go-containerregistry reads my_registry.local as the registry in both.
# Why it matters: hosts with underscores come from Compose and from names in internal DNS. A program
#              that decides by Domain (which mirror, which credentials, whether a registry is allowed)
#              sees an empty name for an image that others pull. An entry for the registry in a list
#              then never matches.
#
# Needs: Go. Uses no network besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_build names github.com/distribution/reference@v0.6.0 github.com/google/go-containerregistry/pkg/name@v0.22.1 <<'END'
package main

import (
	"fmt"
	"os"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

func main() {
	named, err := reference.ParseNormalizedNamed(os.Args[1])
	if err != nil {
		fmt.Printf("error=%q", err)
	} else {
		fmt.Printf("domain=%q path=%q", reference.Domain(named), reference.Path(named))
	}
	other, err := name.ParseReference(os.Args[1])
	if err != nil {
		fmt.Printf(" other-error=%q\n", err)
		return
	}
	fmt.Printf(" other=%q\n", other.Context().RegistryStr())
}
END

# expect NAME OUTPUT reads a name with both libraries.
expect() {
  seen=$(names "$1")
  echo "  $1: $seen"
  [ "$seen" = "$2" ] || note_changed "$1 was $2"
}
expect my-registry.local/team/app 'domain="my-registry.local" path="team/app" other="my-registry.local"'
expect my_registry.local/team/app 'domain="" path="my_registry.local/team/app" other="my_registry.local"'
expect my_registry.local:5000/team/app 'error="invalid reference format" other="my_registry.local:5000"'
finish
