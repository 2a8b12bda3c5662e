// Command build makes sure that the registries of the tests are in the cache.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/registries"
)

func main() {
	if _, err := registries.Programs(context.Background(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}
