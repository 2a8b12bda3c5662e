package main

import (
	"context"
	"errors"
)

func cpuPerRequest() benchmark {
	return benchmark{
		ID: "B1", Title: "CPU time and latency of one request",
		Goals: []Goal{
			{Text: "CPU of Tekgate over the null handler's", What: "CPU per request", Over: armOurs, Under: armNull, AtMost: limit(1.5)},
		},
		Run: b1,
	}
}

func b1(context.Context, *bed) ([]Figure, error) { return nil, errors.New("not yet") }
