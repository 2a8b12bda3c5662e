//go:build e2e

package scenarios_test

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// forge starts Gitea with the empty repository team/app, and writes a token of its owner to a file:
//
//	forge TOKEN-FILE
func (p *place) forge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 || p.node == nil {
		ts.Fatalf("usage: forge TOKEN-FILE, once, in a node of our own")
	}
	token, err := p.node.StartForge(context.Background())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(token+"\n"), 0o600))
}
