#!/usr/bin/env bash
# Tekton's Git credentials for the URL of a group give Git no password for its repositories.
#
# Software:    Tekton Pipelines v1.15.0 (pkg/credentials/gitcreds), git 2.39.5.
# Likely guess: a Secret annotated with "tekton.dev/git-0: https://git.example.com/team" counts for
#              all repositories of the group team, and other groups can have another account.
# What happens: Tekton stores the password under the group's URL and sets useHttpPath. Git then
#              looks for a password of exactly the repository's path, and finds none. The URL of
#              the host or of one repository works.
# Why it matters: accounts per group are usual for forges and for mirrors of Git repositories.
#              Each fetch below the annotated URL fails, although Tekton accepts the Secret.
#              A Secret for the host next to it does not help: the group loses its password.
#
# Needs: Go and git. Uses no network besides the installation.
set -euo pipefail
source "$(dirname "$0")/common.sh"

echo "installing"
build_creds_init gitcreds
git --version

for account in team host; do
  mkdir -p "secrets/$account"
  printf %s "$account" > "secrets/$account/username"
  printf %s "$account-password" > "secrets/$account/password"
done
# secrets SECRET=URL... makes the home folder of a step.
secrets() {
  rm -rf home && mkdir home
  SECRETS=$work/secrets STEP_HOME=$work/home creds-init "${@/#/-basic-git=}"
  echo "Secrets for ${*#*=}:"
}
# expect PASSWORD PATH checks the password that git uses for https://git.example.test/PATH.
expect() {
  answer=$(printf 'url=https://git.example.test/%s\n\n' "$2" | env -u GIT_ASKPASS -u SSH_ASKPASS \
    HOME="$work/home" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 git credential fill 2> git.log || true)
  password=$(sed -n 's/^password=//p' <<< "$answer")
  echo "  $2: password ${password:-none} $(tail -n 1 git.log)"
  [ "${password:-none}" = "$1" ] || note_changed "was $1"
}

secrets team=https://git.example.test/team
sed 's/^/  .gitconfig: /' home/.gitconfig
expect none team/app.git
secrets host=https://git.example.test team=https://git.example.test/team
expect host-password other/app.git
expect none team/app.git
secrets team=https://git.example.test/team/app.git
expect team-password team/app.git
secrets team=https://git.example.test
expect team-password team/app.git
finish
