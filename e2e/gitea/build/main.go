// Command build makes sure that Gitea is in the cache.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/gitea"
)

func main() {
	if _, err := gitea.Build(context.Background(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}
