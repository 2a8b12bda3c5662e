// A program with an expression that is invalid, which it uses after another one.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

var (
	valid   = lazyregexp.New(`^v\d+$`)
	invalid = lazyregexp.New(`(`)
)

func main() {
	var group sync.WaitGroup
	var matches atomic.Int32
	for range 80 {
		group.Go(func() {
			if valid.MatchString("v15") {
				matches.Add(1)
			}
		})
	}
	group.Wait()
	fmt.Println(matches.Load(), "matches")
	fmt.Println(invalid.MatchString(""))
}
