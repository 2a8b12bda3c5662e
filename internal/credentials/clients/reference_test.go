package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
)

const (
	begin = "<!-- begin: rendered from internal/credentials/clients by its tests -->\n"
	end   = "<!-- end -->\n"
)

// TestReference renders the tables of docs/credentials.md from the model.
func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "credentials.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !found || !ended {
		t.Fatalf("docs/credentials.md lacks the lines %q and %q", begin, end)
	}
	tables := pathKeyTable(t) + "\n" + hubTable(t) + "\n" + entryTable(t) + "\n" + libraryTable()
	golden.Equal(t, path, slices.Concat(before, []byte(begin+"\n"+tables+"\n"+end), after))
}

// columns are the clients of which each stands for all with its library.
func columns() (names []string, columns []Client) {
	for _, c := range Clients {
		i := slices.IndexFunc(columns, func(other Client) bool { return other.library == c.library })
		if i >= 0 {
			names[i] += ", " + c.Name
			continue
		}
		names, columns = append(names, c.Name), append(columns, c)
	}
	return names, columns
}

func tableRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func tableHead(cells ...string) string {
	return tableRow(cells...) + "|" + strings.Repeat("---|", len(cells)) + "\n"
}

// config returns a configuration with the logins of the letters' users.
func config(t *testing.T, entries map[string]fields) Config {
	t.Helper()
	text, err := json.Marshal(map[string]any{"auths": entries})
	if err != nil {
		t.Fatal(err)
	}
	config, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// letters writes the users that a client may send, or tries in order.
func letters(t *testing.T, c Client, source Config, image string) string {
	t.Helper()
	parsed, err := ParseImage(image)
	if err != nil {
		t.Fatal(err)
	}
	answer := c.answer(c.reads(Source{Config: source}), parsed)
	var users []string
	for _, s := range answer.Sends() {
		switch {
		case s.Fails != "":
			users = append(users, "error")
		case s.Anonymous():
			users = append(users, "–")
		case s.Token():
			users = append(users, "token")
		case s.Bare():
			users = append(users, "no password")
		default:
			users = append(users, s.Username)
		}
	}
	if answer.All {
		return strings.Join(users, ", then ")
	}
	return strings.Join(users, " or ")
}

func pathKeyTable(t *testing.T) string {
	names, clients := columns()
	var out strings.Builder
	out.WriteString("Keys with a path. H is the login of the host `reg.test`, T that of `reg.test/team`, and A that of\n" +
		"`reg.test/team/app`. \"T or A\" is one of both at random, and – is nothing.\n\n")
	out.WriteString(tableHead(append([]string{"keys", "repository"}, names...)...))
	for _, keys := range []string{"H", "H T A", "T A", "T"} {
		entries := map[string]fields{}
		for _, key := range strings.Fields(keys) {
			path := map[string]string{"H": "", "T": "/team", "A": "/team/app"}[key]
			entries["reg.test"+path] = fields{"auth": auth(key + ":x")}
		}
		for _, repository := range []string{"team/app", "team/app/cache", "team/appendix", "team/other", "other/x"} {
			cells := []string{keys, repository}
			for _, c := range clients {
				cells = append(cells, letters(t, c, config(t, entries), "reg.test/"+repository))
			}
			out.WriteString(tableRow(cells...))
		}
	}
	return out.String()
}

func hubTable(t *testing.T) string {
	names, clients := columns()
	var out strings.Builder
	out.WriteString("Keys that count for the image `docker.io/library/alpine`:\n\n")
	out.WriteString(tableHead(append([]string{"key"}, names...)...))
	for _, key := range []string{DockerHub, "docker.io", "https://docker.io", "index.docker.io", "index.docker.io/v1/",
		"registry-1.docker.io", "https://registry-1.docker.io"} {
		cells := []string{"`" + key + "`"}
		for _, c := range clients {
			entries := config(t, map[string]fields{key: {"auth": auth("yes:x")}})
			cells = append(cells, letters(t, c, entries, "docker.io/library/alpine"))
		}
		out.WriteString(tableRow(cells...))
	}
	return out.String()
}

func entryTable(t *testing.T) string {
	names, clients := columns()
	var out strings.Builder
	out.WriteString("Entries that count. Those in steps are as Tekton writes them:\n\n")
	out.WriteString(tableHead(append([]string{"entry of the host"}, names...)...))
	for _, e := range []struct {
		name  string
		entry fields
	}{
		{"`auth`", fields{"auth": auth("yes:x")}},
		{"`username`, `password`", fields{"username": "yes", "password": "x"}},
		{"`identitytoken`", fields{"identitytoken": "x"}},
		{"`auth` without a password, `identitytoken`", fields{"auth": auth("yes:"), "identitytoken": "x"}},
		{"`auth` that is not base64", fields{"auth": "yes:x"}},
	} {
		cells := []string{e.name}
		for _, c := range clients {
			cells = append(cells, letters(t, c, config(t, map[string]fields{"reg.test": e.entry}), "reg.test/app"))
		}
		out.WriteString(tableRow(cells...))
	}
	return out.String()
}

func libraryTable() string {
	var out strings.Builder
	out.WriteString("Tests compare these tables with the clients' libraries:\n\n")
	out.WriteString(tableHead("client", "library", "keys with a path"))
	for _, c := range Clients {
		out.WriteString(tableRow(c.Name, fmt.Sprintf("`%s`", c.Library), c.PathKeys))
	}
	return out.String()
}
