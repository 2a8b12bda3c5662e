package diagnosis_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/internal/golden"
)

// page is the head of docs/troubleshooting.md.
const page = `# Troubleshooting runs

` + "`tekgate why NAME -n NAMESPACE`" + ` explains why a TaskRun or PipelineRun hangs or failed. Each
cause below has an id, and is printed as one sentence with the object, the reason and the
remedy. The order is that of the output: the cause nearest to the root comes first.
This file is rendered from the code by ` + "`make generate`" + `.

- A failure that is not listed is printed as Tekton reports it, with the id ` + "`unknown`" + `.
- What you may not read is listed on stderr as ` + "`not read`" + `, and the rest is answered. Reading
  runs is enough for most answers. Pods, their logs, events, ServiceAccounts and Secrets of the
  namespace, and nodes, make them more exact.
- A Pod that is gone is explained from the run's own record and from the events that are left.
- Of Secrets only the servers and user names are used. Credentials in quoted texts are masked.
- The exit status is 0 if nothing is known to hold up the run, 1 if causes were found, and 2
  if the question could not be answered.

`

// TestReference renders docs/troubleshooting.md, so that each hint leads somewhere.
func TestReference(t *testing.T) {
	var text strings.Builder
	text.WriteString(page)
	text.WriteString("| cause | what it means |\n|---|---|\n")
	for _, kind := range diagnosis.Kinds {
		fmt.Fprintf(&text, "| [%s](#%s) | %s |\n", kind.ID, kind.ID, kind.Title)
	}
	for _, kind := range diagnosis.Kinds {
		fmt.Fprintf(&text, "\n## %s\n\n%s.\n\nRemedy: %s.\n", kind.ID, capital(kind.Title), kind.Remedy)
	}
	golden.Equal(t, filepath.Join("..", "docs", "troubleshooting.md"), []byte(text.String()))
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
