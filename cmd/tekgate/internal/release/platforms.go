package release

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/registry"
)

// platformList is the value of a flag --platform. The first use of the flag replaces the default.
type platformList struct {
	list *[]string
	set  bool
}

func (p *platformList) Set(written string) error {
	platform, err := registry.ParsePlatform(written)
	if err != nil {
		return err
	}
	if !p.set {
		*p.list, p.set = nil, true
	}
	if !slices.Contains(*p.list, platform) {
		*p.list = append(*p.list, platform)
	}
	return nil
}

func (p *platformList) Type() string { return "stringArray" }

func (p *platformList) String() string {
	if len(*p.list) == 0 {
		return ""
	}
	return "[" + strings.Join(*p.list, ",") + "]"
}

// PlatformFlag adds the flag --platform, which is checked and can be repeated. The platforms hold
// the default.
func PlatformFlag(cmd *cobra.Command, platforms *[]string, usage string) {
	cmd.Flags().Var(&platformList{list: platforms}, "platform", usage)
}

// ProbedPlatformsFlag adds the flag --platform of the commands that probe images.
func ProbedPlatformsFlag(cmd *cobra.Command, platforms *[]string) {
	*platforms = []string{"linux/amd64"}
	PlatformFlag(cmd, platforms, "`PLATFORM` that every image has to be there for (repeatable)")
}
