package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/hooks"
)

func registerCommand() *cobra.Command {
	var r registering
	cmd := &cobra.Command{
		Use:   "register {OWNER/NAME | CLONE-URL}",
		Short: "Create or update a repository's webhook, and check that it works",
		Long: `Create the webhook of a repository through its forge's API, or update the one that has
this --url: content type JSON, the events and the secret. The secret is generated if the
key that the Trigger's secretRef names does not exist; an existing value is used and never
replaced. A second hook is never made.

Then the forge is asked for a test delivery, or, where its API has none, one is signed and
sent from here. The command waits for the interceptor's verdict and reports where the
delivery stopped: dns, connect, tls, http, forge, interceptor, trigger, signature or
filter. If the hook was created by this run and its test fails, the hook and what was
written for it are removed again, unless --keep is given.

Forges: gitee, gitcode, github, gitlab, gitea, forgejo, gogs and bitbucket (Cloud). For a
server of your own pass the repository's clone URL, or --api-url. The test of GitLab is a
push of the last commits, and Gitea's a push of the last one: they may start a run where the
trigger accepts it. --test tekgate sends one that starts nothing.

--rotate replaces the secret without a refused event. A new key joins the Secret, and the
Trigger's secretRefs list both; when a delivery that is signed with the new one has been
verified, the hook is changed. The old key stays, because deliveries may be on their way or
be repeated: --remove-old-after waits, and removes it from the Trigger and the Secret. If
the Trigger is kept in a repository, change it there, too. Gitea, Forgejo and Gogs cannot
change a hook's secret, so there the hook is replaced by a new one.

It takes the rights to get Triggers, to list Triggers and EventListeners and, for --rotate, to
patch them; to get, create, patch and delete Secrets; and what "tekgate hook deliveries"
takes. --status-token-file also stores the token with which the runs
of "tekgate hook scaffold --status" report, and --ca-file beside it. The access token comes from a file, an environment variable
or a Secret, never from an argument.`,
		Example: `  tekgate hook register https://gitee.com/team/app.git --trigger app -n ci \
    --url https://hooks.example.com/app --token-file gitee-token
  tekgate hook register team/app --provider gitea --api-url https://git.example.com --ca-file ca.pem \
    --trigger app -n ci --url https://hooks.example.com/app --token-secret forge/token --events push,pull_request
  tekgate hook register team/app --provider github --trigger app -n ci --url https://hooks.example.com/app \
    --token-env GITHUB_TOKEN --rotate`,
		Args: oneRepository,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd.Context(), cli.StreamsOf(cmd), args[0])
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.mode, "mode", "", "without --trigger: how the hook signs (default: the recommended `MODE`)")
	f.StringVar(&r.secret, "secret", "", "without --trigger: `NAME/KEY` of the Secret with the hook's secret")
	f.StringSliceVar(&r.events, "events", nil,
		"`EVENTS` in the forge's words; push, tag, pull_request, issue and comment are understood for every forge "+
			"(default: the Trigger's eventTypes, or push, and those that the hook has)")
	f.BoolVar(&r.dryRun, "dry-run", false, "ask the forge and the cluster, print what would be done, and change nothing")
	f.BoolVar(&r.rotate, "rotate", false, "replace the hook's secret, on both sides, without a refused event")
	f.DurationVar(&r.removeAfter, "remove-old-after", 0,
		"with --rotate: remove the old key after this `DURATION`, such as 10m (default: it stays)")
	f.BoolVar(&r.keep, "keep", false, "keep a new hook whose test delivery fails")
	f.DurationVar(&r.wait, "wait", 30*time.Second, "`DURATION` to wait for the verdict on the test delivery; 0 sends none")
	f.StringVar(&r.test, "test", "auto",
		"who sends the test delivery: auto (the forge if its API can, or else this command), forge, tekgate or none")
	r.statusFlags(f)
	return cmd
}

// registering is what register does.
type registering struct {
	registration
	secret string
	// The token for statuses, and the name of its Secret.
	statusFile, statusSecret string
	statusValues             map[string][]byte
	events                   []string
	test                     string
	wait                     time.Duration

	dryRun, rotate, keep bool
	removeAfter          time.Duration // 0 to keep the old secret
}

// registered is what register prints.
type registered struct {
	Forge      string       `json:"forge"`
	Repository string       `json:"repository"`
	DryRun     bool         `json:"dryRun,omitempty"`
	Hook       hookResult   `json:"hook"`
	Secret     secretResult `json:"secret"`
	// Statuses are the keys of the Secret with which runs report statuses.
	Statuses []secretResult `json:"statuses,omitempty"`
	Test     *trial         `json:"test,omitempty"`
}

type hookResult struct {
	ID     string   `json:"id,omitempty"`
	URL    string   `json:"url"` // without its query
	Events []string `json:"events"`
	Action string   `json:"action"` // created, updated, deleted, or removed after a failed test
	// Changes describes what an update changes beside the secret.
	Changes []string `json:"changes,omitempty"`
}

type secretResult struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Key       string `json:"key"`
	// Action is created, configured or unchanged, or after a failed test removed or restored.
	Action string `json:"action"`
}

func (r *registering) run(ctx context.Context, streams cli.Streams, repository string) error {
	if err := r.check(); err != nil {
		return err
	}
	s, err := r.find(ctx, streams, repository)
	if err != nil {
		return err
	}
	r.adopt(s)
	r.warnClear(streams, s)
	if err := r.warnShared(ctx, streams, s); err != nil {
		return err
	}
	if r.events, err = r.chooseEvents(s); err != nil {
		return err
	}
	if err := r.readStatusToken(streams, s); err != nil {
		return err
	}
	if len(s.refs) == 0 && r.trigger != "" {
		return fmt.Errorf("trigger %s names no Secret: give its interceptor the param secretRef", plain(r.trigger))
	}
	if len(s.refs) == 0 {
		name, key, _ := strings.Cut(r.secret, "/")
		s.refs = [][2]string{{name, key}}
		if s.client, err = r.replicas.kube.Client(); err != nil {
			return err
		}
	}
	o := &observer{of: &r.registration}
	if r.wait > 0 && r.test != "none" && !r.dryRun {
		if o.source, err = r.replicas.source(ctx, streams); err == nil {
			err = o.mark(ctx)
		}
		if err != nil {
			return fmt.Errorf("nothing was changed, because the verdict could not be read (--wait 0 registers without one): %w",
				err)
		}
	}
	switch {
	case r.dryRun:
		return r.plan(ctx, streams, s)
	case r.rotate:
		return r.replace(ctx, streams, s, o)
	}
	return r.register(ctx, streams, s, o)
}

func (r *registering) check() error {
	switch r.test {
	case "auto", "forge", "tekgate", "none":
	default:
		return fmt.Errorf("--test %q is not known: say auto, forge, tekgate or none", r.test)
	}
	name, key, found := strings.Cut(r.secret, "/")
	switch {
	case r.trigger == "" && (!found || name == "" || key == ""):
		return errors.New("pass --trigger to use the Trigger's Secret, or --secret NAME/KEY")
	case r.trigger != "" && (r.secret != "" || r.mode != ""):
		return errors.New("--secret and --mode are the Trigger's: leave them out, or leave out --trigger")
	case r.rotate && r.trigger == "":
		return errors.New("--rotate changes the Trigger's secretRefs: name it with --trigger")
	case r.removeAfter != 0 && !r.rotate:
		return errors.New("--remove-old-after is for --rotate: pass both")
	case r.rotate && (r.wait <= 0 || r.test == "none"):
		return errors.New("--rotate waits for verdicts: leave out --wait 0 and --test none")
	case r.rotate && r.statusFile != "":
		return errors.New("--status-token-file is not for --rotate: run this without --rotate to store the token")
	case r.statusFile == "" && r.statusSecret != "":
		return errors.New("--status-secret does nothing without --status-token-file")
	case r.statusFile != "" && r.statusSecret == "" && (r.trigger == "" || strings.Contains(r.trigger, "/")):
		return errors.New("name the Secret of the reports with --status-secret")
	case r.wait < 0 || r.removeAfter < 0:
		return errors.New("--wait and --remove-old-after must not be negative")
	}
	return nil
}

// chooseEvents returns the hook's events, in the forge's words: those of the flag, or else
// those that the Trigger names and those that the hook has.
func (r *registering) chooseEvents(s *site) ([]string, error) {
	if len(r.events) > 0 {
		return s.repository.Forge.Events(r.events)
	}
	wanted := triggerEvents(s.params)
	if len(wanted) == 0 && (s.hook == nil || len(s.hook.Events) == 0) {
		wanted = []string{"push"}
	}
	events, err := s.repository.Forge.Events(wanted)
	if s.hook != nil {
		events = append(events, s.hook.Events...)
	}
	slices.Sort(events)
	return slices.Compact(events), err
}

// triggerEvents returns the events that a Trigger's eventTypes name, without those that are
// patterns.
func triggerEvents(params map[string]any) []string {
	of, _ := params["provider"].(string)
	sender, err := provider.Named(of)
	if err != nil {
		return nil
	}
	var events []string
	list, _ := params["eventTypes"].([]any)
	for _, item := range list {
		name, _ := item.(string)
		// An action is no part of an event's name, except at Bitbucket.
		if before, _, found := strings.Cut(name, ":"); found && of != "bitbucket" {
			name = before
		}
		name = sender.Normalise(name)
		if name == "" || strings.HasPrefix(name, "!") || strings.ContainsAny(name, "*?[{ ") {
			continue
		}
		events = append(events, name)
	}
	return events
}

// plan prints what would be done.
func (r *registering) plan(ctx context.Context, streams cli.Streams, s *site) error {
	result := r.result(s)
	result.DryRun = true
	if r.rotate {
		if err := r.rotatable(ctx, s); err != nil {
			return err
		}
	}
	k := r.key(s)
	value, err := k.read(ctx)
	switch {
	case err != nil:
		return err
	case value.data != nil:
		result.Secret.Action = "unchanged"
	case value.exists:
		result.Secret.Action = "configured"
	}
	for _, k := range r.statusKeys(s) {
		result.Statuses = append(result.Statuses, secretResult{k.namespace, k.name, k.key, "configured"})
	}
	if r.rotate {
		result.Secret.Key, result.Secret.Action = rotatedKey(k.key, time.Now()), "configured"
	}
	return r.print(streams, result)
}

func (r *registering) key(s *site) secretKey {
	return secretKey{client: s.client, namespace: r.namespace, name: s.refs[0][0], key: s.refs[0][1]}
}

func (r *registering) result(s *site) *registered {
	result := &registered{Forge: string(s.repository.Forge), Repository: s.repository.Path(),
		Hook:   hookResult{URL: shown(r.url), Events: r.events, Action: "created"},
		Secret: secretResult{Namespace: r.namespace, Name: s.refs[0][0], Key: s.refs[0][1], Action: "created"}}
	if s.hook != nil {
		result.Hook.ID, result.Hook.Action = plain(s.hook.ID), "updated"
		result.Hook.Changes = s.hook.Changes(forge.Want{URL: r.url, Events: r.events})
	}
	return result
}

// register makes or updates the hook and what it needs, and undoes all of it if it fails.
func (r *registering) register(ctx context.Context, streams cli.Streams, s *site, o *observer) error {
	result := r.result(s)
	var undo undoing
	stored, action, remove, err := r.key(s).ensure(ctx, newSecret(s.mode()))
	if err != nil {
		return err
	}
	result.Secret.Action = action
	undo.add(fmt.Sprintf("the %s that this run wrote", r.key(s)), remove)
	undo.reports(remove != nil, &result.Secret.Action, "removed")
	if err := r.usable(s, stored); err != nil {
		return undo.after(ctx, err)
	}
	if err := r.storeStatusToken(ctx, s, result, &undo); err != nil {
		return undo.after(ctx, err)
	}
	r.warnLabel(ctx, streams, s)
	want := forge.Want{URL: r.url, Secret: string(stored), Mode: s.mode(), Events: r.events,
		NewSecret: action != "unchanged" || o.source == nil}
	for {
		made, err := r.write(ctx, s, &want, &undo)
		if err != nil {
			return undo.after(ctx, err)
		}
		result.Hook.ID = plain(made.ID)
		if s.hook != nil {
			result.Hook.Action = "updated"
		} else {
			undo.reports(true, &result.Hook.Action, "removed")
		}
		if result.Test, err = r.try(ctx, streams, s, o, made, stored); err != nil {
			return undo.after(ctx, err)
		}
		// A hook that was updated in place may have kept another secret.
		if s.hook == nil || want.NewSecret || result.Test.Stage != stageSignature {
			break
		}
		want.NewSecret, s.hook = true, &made
		if err := o.mark(ctx); err != nil {
			return undo.after(ctx, err)
		}
	}
	if !result.Test.arrived() {
		err = r.failed(ctx, s, result.Test, &undo)
	}
	return errors.Join(r.print(streams, result), err)
}

// failed returns the error of a hook whose test did not arrive.
func (r *registering) failed(ctx context.Context, s *site, t *trial, undo *undoing) error {
	err := errors.New(t.String())
	switch {
	case s.hook != nil:
		err = fmt.Errorf("%w; the hook existed before and stays, with the events and the secret of this run", err)
	case r.keep:
		err = fmt.Errorf("%w; the hook stays, as --keep says", err)
	default:
		err = undo.after(ctx, err)
	}
	return cli.Exit(2, err)
}

// usable refuses a value that the interceptor would refuse.
func (r *registering) usable(s *site, secret []byte) error {
	if _, _, err := testDelivery(s, s.params, secret, nil); err != nil {
		return fmt.Errorf("the %s cannot sign deliveries: %w", r.key(s), err)
	}
	return nil
}

// write makes or updates the hook. A request that failed late may have made it all the same.
func (r *registering) write(ctx context.Context, s *site, want *forge.Want, undo *undoing) (forge.Hook, error) {
	if s.hook != nil {
		made, err := s.forge.Update(ctx, *s.hook, *want)
		if forge.Unsure(err) {
			undo.keep("the request may have changed the hook or made a second one, with the secret that is in the Secret: see `tekgate hook status`")
		}
		if err != nil {
			return made, fmt.Errorf("updating hook %s: %w", plain(s.hook.ID), err)
		}
		undo.keep(fmt.Sprintf("hook %s has been updated", plain(s.hook.ID)))
		return made, nil
	}
	made, err := s.forge.Create(ctx, *want)
	if err == nil {
		other, err := r.older(ctx, s, made)
		if err != nil || other != nil {
			return r.yield(ctx, s, want, undo, made, other, err)
		}
		undo.add(fmt.Sprintf("hook %s at %s", plain(made.ID), s.repository.Forge.Title()),
			func(ctx context.Context) error { return s.delete(ctx, made.ID) })
		return made, nil
	}
	if forge.Unsure(err) {
		undo.search("the hook that the failed request may have made", func(ctx context.Context) (string, error) {
			hooks, err := s.forge.List(ctx)
			if err != nil {
				return "", err
			}
			found, err := forge.Find(hooks, r.url)
			if err != nil {
				return "", err
			}
			if found == nil {
				return "no hook was found, but the request may still make one: look again with `tekgate hook status` " +
					"in a minute, and remove it with `tekgate hook unregister`", nil
			}
			return "", s.delete(ctx, found.ID)
		})
	}
	return made, fmt.Errorf("creating the hook: %w", err)
}

// older returns the hook that another command made for the URL at the same time, if it is
// older than ours: each of the commands then takes the same one.
func (r *registering) older(ctx context.Context, s *site, made forge.Hook) (*forge.Hook, error) {
	hooks, err := s.forge.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for a second hook: %w", err)
	}
	var first *forge.Hook
	for i := range hooks {
		h := &hooks[i]
		if h.ID != made.ID && forge.Normalise(h.URL) == forge.Normalise(r.url) && earlier(h.ID, made.ID) &&
			(first == nil || earlier(h.ID, first.ID)) {
			first = h
		}
	}
	return first, nil
}

// earlier orders ids, which grow at forges that count.
func earlier(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// yield takes back the hook that was made, and updates the older one, if there is one.
func (r *registering) yield(ctx context.Context, s *site, want *forge.Want, undo *undoing, made forge.Hook,
	other *forge.Hook, err error) (forge.Hook, error) {
	remove := func(ctx context.Context) error { return s.delete(ctx, made.ID) }
	if err == nil {
		err = remove(ctx)
	}
	if err != nil {
		undo.add(fmt.Sprintf("hook %s at %s", plain(made.ID), s.repository.Forge.Title()), remove)
		return made, err
	}
	s.hook, want.NewSecret = other, false
	return r.write(ctx, s, want, undo)
}

// warnLabel names the label that the interceptor may demand of a Secret that others made.
func (r *registering) warnLabel(ctx context.Context, streams cli.Streams, s *site) {
	k := r.key(s)
	if value, err := k.read(ctx); err == nil && value.exists && !value.labelled {
		streams.Warn(fmt.Sprintf("Secret %s/%s lacks the label that new installations demand: run "+
			"`kubectl -n %[1]s label secret %[2]s tekgate.dev/webhook-secret=true`", k.namespace, k.name))
	}
}

// undoing is how to undo what a command has done so far.
type undoing struct {
	steps []undoStep
	kept  string // why nothing is undone; empty to undo
}

type undoStep struct {
	what string
	// run undoes the step. The text that it returns tells what was found in place of it.
	run func(context.Context) (string, error)
	// action is what the result says of the step, and undone what it says afterwards.
	action *string
	undone string
}

// add adds a step; nil is none.
func (u *undoing) add(what string, run func(context.Context) error) {
	if run != nil {
		u.search(what, func(ctx context.Context) (string, error) { return "", run(ctx) })
	}
}

// search adds a step that may find nothing to undo.
func (u *undoing) search(what string, run func(context.Context) (string, error)) {
	u.steps = append(u.steps, undoStep{what: what, run: run, undone: "removed"})
}

// reports lets the last step, if it is about what, report in the result that it was undone.
func (u *undoing) reports(added bool, action *string, undone string) {
	if added {
		last := &u.steps[len(u.steps)-1]
		last.action, last.undone = action, undone
	}
}

// keep ends undoing, for a reason.
func (u *undoing) keep(why string) { u.kept = why }

const undoTimeout = time.Minute

// after undoes the steps, the last one first, and adds to an error what became of them.
func (u *undoing) after(ctx context.Context, err error) error {
	if len(u.steps) == 0 {
		if u.kept != "" {
			return fmt.Errorf("%w; %s", err, u.kept)
		}
		return err
	}
	if u.kept != "" {
		return fmt.Errorf("%w; %s, so %s stays", err, u.kept, u.names())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	done := map[string][]string{}
	var notes []string
	for i := len(u.steps) - 1; i >= 0; i-- {
		step := u.steps[i]
		note, problem := step.run(ctx)
		if problem != nil {
			// What was made before stays, too: the hook needs the Secret.
			u.steps = u.steps[:i+1]
			return fmt.Errorf("%w; %s stays, because removing it failed: %s: remove it by hand", err, u.names(),
				problem.Error())
		}
		if note != "" {
			notes = append(notes, note)
			continue
		}
		if step.action != nil {
			*step.action = step.undone
		}
		done[step.undone] = slices.Insert(done[step.undone], 0, step.what)
	}
	var parts []string
	for _, how := range []string{"removed", "restored"} {
		if len(done[how]) > 0 {
			parts = append(parts, how+" "+strings.Join(done[how], " and "))
		}
	}
	if len(notes) > 0 {
		return fmt.Errorf("%w; %s", err, strings.Join(append(parts, notes...), "; "))
	}
	return fmt.Errorf("%w; nothing stays: %s", err, strings.Join(parts, "; "))
}

func (u *undoing) names() string {
	var names []string
	for _, step := range u.steps {
		names = append(names, step.what)
	}
	return strings.Join(names, " and ")
}

// print prints the result.
func (r *registration) printAs(out io.Writer, result any, text func(io.Writer) error) error {
	return r.output.Print(out, result, text)
}

func (r *registering) print(streams cli.Streams, result *registered) error {
	return r.printAs(streams.Out, result, func(out io.Writer) error {
		would := ""
		if result.DryRun {
			would = " (dry run)"
		}
		fmt.Fprintf(out, "Secret %s/%s, key %s: %s%s\n", result.Secret.Namespace, result.Secret.Name, result.Secret.Key,
			result.Secret.Action, would)
		for _, k := range result.Statuses {
			fmt.Fprintf(out, "Secret %s/%s, key %s: %s%s\n", k.Namespace, k.Name, k.Key, k.Action, would)
		}
		fmt.Fprintf(out, "hook %s of %s at %s for %s: %s%s, events %s\n", cli.OrDash(result.Hook.ID), result.Repository,
			forge.Forge(result.Forge).Title(), result.Hook.URL, result.Hook.Action, would,
			strings.Join(result.Hook.Events, ", "))
		for _, change := range result.Hook.Changes {
			fmt.Fprintf(out, "  %s%s\n", change, would)
		}
		if result.Test != nil && result.Test.arrived() {
			fmt.Fprintln(out, result.Test)
		}
		return nil
	})
}

// try sends a test delivery and waits for the verdict.
func (r *registering) try(ctx context.Context, streams cli.Streams, s *site, o *observer, made forge.Hook,
	secret []byte) (*trial, error) {
	if o.source == nil {
		if made.Disabled {
			streams.Warn(disabled(made))
		}
		return &trial{SentBy: "nobody", Stage: stageUnknown, Message: "none was requested"}, nil
	}
	if r.test != "tekgate" {
		var undelivered *forge.UndeliveredError
		t, err := r.byForge(ctx, s, o, made, secret)
		switch {
		case err == nil:
			return t, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &undelivered):
			return r.undelivered(ctx, s, o, secret, undelivered)
		case r.test == "forge":
			return nil, fmt.Errorf("asking %s for a test delivery: %w", s.repository.Forge.Title(), err)
		case !errors.Is(err, forge.ErrUnsupported):
			streams.Warn(fmt.Sprintf("%s sends no test delivery, so one is sent from here: %s",
				s.repository.Forge.Title(), err.Error()))
		}
	}
	t, err := r.byTekgate(ctx, s, s.params, o, secret)
	if err == nil && t.arrived() && made.Disabled {
		t.Stage, t.Reason, t.Message = stageForge, "", disabled(made)
	}
	return t, err
}

// disabled says that the forge sends nothing to a hook. A test that the forge sends enables it.
func disabled(made forge.Hook) string {
	return fmt.Sprintf("hook %s is disabled (%s): run this with --test forge, which enables it again if its delivery "+
		"succeeds", plain(made.ID), plain(made.Last))
}

// undelivered is the trial of a test that the forge could not deliver. The same way from here
// shows at which stage it ends.
func (r *registering) undelivered(ctx context.Context, s *site, o *observer, secret []byte,
	cause *forge.UndeliveredError) (*trial, error) {
	title := s.repository.Forge.Title()
	own, err := r.byTekgate(ctx, s, s.params, o, secret)
	if err != nil {
		return nil, err
	}
	said := plain(cause.Error())
	if own.arrived() {
		return &trial{SentBy: title, Stage: stageForge, Message: said}, nil
	}
	own.SentBy = title + " and tekgate"
	own.Message += "; " + title + " reports: " + said
	return own, nil
}

// byTekgate sends a test delivery from here.
func (r *registering) byTekgate(ctx context.Context, s *site, params map[string]any, o *observer, secret []byte) (
	*trial, error) {
	made, body, err := testDelivery(s, params, secret, triggerEvents(params))
	if err != nil {
		return nil, err
	}
	t, err := post(ctx, r.url, s.ca, made, body)
	if err != nil || t.Stage != "" {
		return t, err
	}
	return t, r.settle(ctx, o, t)
}

// settle waits for the verdict on an event.
func (r *registering) settle(ctx context.Context, o *observer, t *trial) error {
	d, err := o.await(ctx, eventFilter(t.EventID), r.wait)
	if err != nil {
		return fmt.Errorf("waiting for the verdict on event %s: %w", t.EventID, err)
	}
	if d == nil {
		t.Stage = stageInterceptor
		t.Message = fmt.Sprintf(
			"the EventListener took event %s, but this trigger did not ask the interceptor within %s: check that it belongs to this "+
				"EventListener, and that its log has no error about the interceptor", t.EventID, r.wait)
		return nil
	}
	t.judge(d)
	return nil
}

// byForge asks the forge for a test delivery. If none arrives, it finds out why.
func (r *registering) byForge(ctx context.Context, s *site, o *observer, made forge.Hook, secret []byte) (
	*trial, error) {
	if err := s.forge.Test(ctx, made); err != nil {
		return nil, err
	}
	t := &trial{SentBy: s.repository.Forge.Title()}
	d, err := o.await(ctx, eventFilter(""), r.wait)
	if err != nil {
		return nil, err
	}
	if d != nil {
		t.judge(d)
		return t, nil
	}
	// The same way from here shows at which stage it ends.
	own, err := r.byTekgate(ctx, s, s.params, o, secret)
	if err != nil {
		return nil, err
	}
	own.SentBy = t.SentBy + " and tekgate"
	if own.arrived() {
		own.Stage = stageForge
		own.Reason = ""
		own.Message = fmt.Sprintf("nothing arrived from %s within %s, while a delivery from here was verified: "+
			"the forge cannot reach %s", t.SentBy, r.wait, shown(r.url))
		if hint := s.repository.Forge.Unreachable(); hint != "" {
			own.Message += "; " + hint
		}
	}
	if last := lastOf(ctx, s, made.ID); last != "" {
		own.Message += "; " + t.SentBy + " reports: " + last
	}
	return own, nil
}

// lastOf returns what the forge says about its last delivery, if its API says it.
func lastOf(ctx context.Context, s *site, id string) string {
	list, err := s.forge.Deliveries(ctx, id)
	if err != nil || len(list) == 0 {
		return ""
	}
	return plain(strings.TrimSpace(fmt.Sprintf("%d %s", list[0].Status, list[0].Result)))
}

// defaultMode is the mode of a hook whose trigger is not named: the one that scaffold takes.
func defaultMode(of provider.Provider) string {
	return hooks.RecommendedMode(of.Name)
}
