package hook

import "fmt"

// separate refuses ServiceAccounts that are one: whoever builds would have the rights of whoever
// deploys.
func (s *scaffold) separate() error {
	type identity struct{ role, account, flag string }
	roles := []identity{
		{"the EventListener", s.Name + "-listener", ""},
		{"the builds", s.Account, "--service-account"},
	}
	if s.Deploy != "" {
		roles = append(roles, identity{"the deployment", s.DeployAccount, "--deploy-account"})
	}
	if s.Status {
		roles = append(roles, identity{"the reports of statuses", s.StatusAccount, ""})
	}
	for i, a := range roles {
		for _, b := range roles[:i] {
			if a.account != b.account {
				continue
			}
			flag := a.flag
			switch {
			case flag == "":
				flag = b.flag
			case b.flag != "":
				flag = b.flag + " or " + flag
			}
			return fmt.Errorf("ServiceAccount %q would be that of both %s and %s, which would then share rights: "+
				"choose another one with %s", a.account, b.role, a.role, flag)
		}
	}
	return nil
}
