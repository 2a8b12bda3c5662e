#!/usr/bin/env bash
# CEL filters of Tekton Triggers turn large ids into text with an exponent.
#
# Software:    Tekton Triggers v0.37.0 (pkg/interceptors/cel).
# Likely guess: string(body.id) of the payload {"id": 17123456789} is "17123456789", and
#              body.number + 1 is a number.
# What happens: numbers of a payload are floating point. From 1000000 on, string() prints an
#              exponent ("1.7123456789e+10"), and arithmetic with whole numbers is an error. Smaller
#              ids work, so tests with small numbers pass. string(int(body.id)) works.
# Why it matters: ids of merge requests and projects end up in image tags, names and URLs of status
#              reports. On a busy forge, tags such as "pr-1.7123456789e+10" are refused by the
#              registry, and filters that compare ids as text never match, without an error.
#
# Needs: Go. Uses no network besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
go_build evaluate github.com/tektoncd/triggers/pkg/interceptors/cel@v0.37.0 <<'END'
package main

import (
	"context"
	"fmt"
	"os"

	triggers "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/interceptors/cel"
)

// main evaluates the expression of its first argument on the payload of its second, as the overlay x.
func main() {
	interceptor := cel.NewInterceptor(nil) // reads no Secrets here
	response := interceptor.Process(context.Background(), &triggers.InterceptorRequest{
		Body:    os.Args[2],
		Context: &triggers.TriggerContext{TriggerID: "namespaces/default/triggers/t"},
		InterceptorParams: map[string]any{
			"overlays": []map[string]string{{"key": "x", "expression": os.Args[1]}},
		},
	})
	if response.Continue {
		fmt.Println(response.Extensions["x"])
	} else {
		fmt.Println("error:", response.Status.Message)
	}
}
END

# expect PATTERN EXPRESSION PAYLOAD evaluates an expression.
expect() {
  seen=$(evaluate "$2" "$3" 2>&1 | tail -n 1)
  echo "  $3: $2 is $seen"
  # shellcheck disable=SC2053 # a pattern
  [[ $seen == $1 ]] || note_changed "was $1"
}
expect 999999 'string(body.id)' '{"id": 999999}'
expect 1e+06 'string(body.id)' '{"id": 1000000}'
expect 1.7123456789e+10 'string(body.id)' '{"id": 17123456789}'
expect 17123456789 'string(int(body.id))' '{"id": 17123456789}'
expect false 'string(body.id) == "17123456789"' '{"id": 17123456789}'
expect 'error:*no such overload*' 'body.id + 1' '{"id": 7}'
finish
