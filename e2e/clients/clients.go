// Package clients asks the libraries of registry clients what they send.
package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// Question is a Docker configuration and an image.
type Question struct {
	Config string `json:"config"`
	Image  string `json:"image"`
	// Repeat is how often each library is asked; some answer at random.
	Repeat int `json:"repeat"`
}

// Build returns the path of the program in the folder answers. It is built on first use, which is
// written to log.
func Build(ctx context.Context, log io.Writer) (string, error) {
	return cluster.Own{Program: "client-answers", Dir: "clients/answers", Package: ".",
		Sources: []string{"main.go", "libraries.go", "regclient.go", "go.mod", "go.sum"}}.Build(ctx, log)
}

// Ask returns the answers of each library, by its name, to each question.
func Ask(ctx context.Context, log io.Writer, questions []Question) ([]map[string][]string, error) {
	program, err := Build(ctx, log)
	if err != nil {
		return nil, err
	}
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, q := range questions {
		if err := encoder.Encode(q); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin = &in
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking the clients' libraries: %w", err)
	}
	var all []map[string][]string
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var answers map[string][]string
		if err := decoder.Decode(&answers); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the answers of the clients' libraries: %w", err)
		}
		all = append(all, answers)
	}
}
