//go:build !unix

package watch

import "os"

// suspensions returns a channel that has no value: nothing suspends programs here.
func suspensions() (<-chan os.Signal, func()) { return nil, func() {} }

func suspend() {}
