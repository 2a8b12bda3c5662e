package hook

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tekgate/tekgate/internal/forge"
)

// assumedProvider is the provider of hosts that are not known.
const assumedProvider = "gitee"

// knownForge returns the forge of a public host, with or without a port; empty for others. Some
// have another name for SSH, such as ssh.github.com and altssh.gitlab.com.
func knownForge(host string) forge.Forge {
	name := strings.ToLower((&url.URL{Host: host}).Hostname())
	for _, prefix := range []string{"", "www.", "ssh.", "altssh."} {
		bare, found := strings.CutPrefix(name, prefix)
		if !found || bare == "" {
			continue
		}
		if at, err := forge.Locate("https://"+bare+"/owner/name", "", ""); err == nil {
			return at.Forge
		}
	}
	return ""
}

// chooseProvider takes the provider of a known host where no flag names one, and notes what the
// choice is, and why.
func (s *scaffold) chooseProvider() {
	if s.Provider != "" {
		return
	}
	host := plain(s.at.host)
	if at := knownForge(s.at.host); at != "" {
		s.Provider = at.Provider()
		s.chosen = fmt.Sprintf("provider %s, since %s is %s", s.Provider, host, at.Title())
		return
	}
	s.Provider = assumedProvider
	s.chosen = fmt.Sprintf("provider %s is assumed, since the forge at %s is not known: "+
		"pass --provider if it is another one", s.Provider, host)
}
