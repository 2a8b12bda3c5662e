//go:build e2e

package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

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

// ask sends a request to the forge's API about team/app, and prints the answer:
//
//	ask TOKEN-FILE METHOD {PATH | @FILE} [JSON]
func (p *place) ask(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: ask TOKEN-FILE METHOD {PATH | @FILE} [JSON]")
	}
	var content map[string]any
	if len(args) == 4 {
		ts.Check(json.Unmarshal([]byte(args[3]), &content))
	}
	if file, ok := strings.CutPrefix(args[2], "@"); ok {
		args[2] = strings.TrimSpace(ts.ReadFile(file))
	}
	answer, err := p.askForge(ts, args[0], args[1], args[2], content)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), answer)
}

func (p *place) askForge(ts *testscript.TestScript, file, method, path string, content map[string]any) (string, error) {
	return p.node.AskForge(context.Background(), strings.TrimSpace(ts.ReadFile(file)), method,
		"/api/v1/repos/team/app/"+path, content)
}

var (
	replays = regexp.MustCompile(`/replay/[0-9a-f-]{36}`)
	tags    = regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`)
)

// browse is what the owner does with a browser: it prints the text of a page of team/app, or presses a button of
// the hook, of which there is one: the test, or the one that delivers the last event again.
//
//	browse PATH
//	browse {test|replay} TOKEN-FILE
func (p *place) browse(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 1 {
		page, err := p.node.PressForge(context.Background(), http.MethodGet, "/team/app/"+args[0])
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), strings.Join(strings.Fields(tags.ReplaceAllString(page, "")), " "))
		return
	}
	if len(args) != 2 || args[0] != "test" && args[0] != "replay" {
		ts.Fatalf("usage: browse PATH, or browse {test|replay} TOKEN-FILE")
	}
	answer, err := p.askForge(ts, args[1], http.MethodGet, "hooks", nil)
	ts.Check(err)
	var hooks []struct{ ID int }
	ts.Check(json.Unmarshal([]byte(answer), &hooks))
	if len(hooks) != 1 {
		ts.Fatalf("there are %d hooks", len(hooks))
	}
	path := fmt.Sprintf("/team/app/settings/hooks/%d", hooks[0].ID)
	button := "/test"
	if args[0] == "replay" {
		page, err := p.node.PressForge(context.Background(), http.MethodGet, path)
		ts.Check(err)
		if button = replays.FindString(page); button == "" {
			ts.Fatalf("the page shows no delivery")
		}
	}
	_, err = p.node.PressForge(context.Background(), http.MethodPost, path+button)
	ts.Check(err)
}

// statuses prints the states that a commit has had, the first one first, and then each with its
// context and its link. It waits until there are so many.
//
//	statuses TOKEN-FILE COMMIT-FILE COUNT
func (p *place) statuses(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: statuses TOKEN-FILE COMMIT-FILE COUNT")
	}
	var all []struct {
		Status, Context string
		URL             string `json:"target_url"`
	}
	path := "commits/" + strings.TrimSpace(ts.ReadFile(args[1])) + "/statuses?sort=oldest"
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		answer, err := p.askForge(ts, args[0], http.MethodGet, path, nil)
		ts.Check(err)
		ts.Check(json.Unmarshal([]byte(answer), &all))
		if fmt.Sprint(len(all)) == args[2] {
			break
		}
		if time.Now().After(end) {
			ts.Fatalf("the commit has the statuses %v, and there should be %s", all, args[2])
		}
	}
	var states, lines []string
	for _, status := range all {
		states = append(states, status.Status)
		lines = append(lines, strings.Join([]string{status.Status, status.Context, status.URL}, " "))
	}
	fmt.Fprintln(ts.Stdout(), strings.Join(states, " "))
	fmt.Fprintln(ts.Stdout(), strings.Join(lines, "\n"))
}
