package interceptor

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
)

// call is one Trigger's question about one event.
type call struct {
	h         *Handler
	p         *params
	namespace string // where the Trigger's Secrets are
	sent      provider.Delivery
	body      []byte
	rec       *Record
	extract   *provider.Extract
	misses    []miss // Secrets that have not signed it
	read      bool   // extract has the payload
	readErr   error
	forge     string // the product that sent it; see provider.Claim
}

// judge makes the checks that come after the params. What was refused is described in the
// record, since that helps to find the hook.
func (c *call) judge(ctx context.Context) (*provider.Git, error) {
	said, err := c.claim()
	if err == nil {
		err = c.authenticate(ctx, said)
	}
	var git *provider.Git
	if err == nil {
		git, err = c.conclude(said)
	}
	if err != nil && refusal.Of(err).Reason != refusal.Form {
		c.describe()
	}
	return git, err
}

// claim reads what the headers say. With allowInsecure a delivery that bears no
// signature claims nothing but its event.
func (c *call) claim() (provider.Claim, error) {
	if err := c.sent.RefuseForm(); err != nil {
		return provider.Claim{}, err
	}
	said, err := c.p.sender.From.Announce(c.sent, &c.p.sender)
	if err != nil {
		return provider.Claim{}, err
	}
	c.rec.Event, c.rec.DeliveryID, c.forge = said.Event, said.DeliveryID, said.Forge
	err = c.p.sender.Mode.Read(&said, c.sent, &c.p.sender)
	if err != nil && (!c.p.AllowInsecure || refusal.Of(err).Reason != refusal.Unsigned) {
		return provider.Claim{}, err
	}
	if said.Ping {
		return said, nil
	}
	return said, c.p.refuseEvent(said.Event, c.p.sender.From.Payload)
}

// authenticate decides whether the Secret's holder sent the delivery, not long ago
// and not before.
func (c *call) authenticate(ctx context.Context, said provider.Claim) error {
	if c.p.AllowInsecure && (len(said.Digests) == 0 || len(c.p.SecretRefs) == 0) {
		return nil
	}
	digest, err := c.verify(ctx, said)
	if err != nil {
		return c.unverified(err)
	}
	c.rec.Verified, c.rec.Covers = true, said.Covers
	if c.p.sender.SignsTime() {
		if err := c.checkAge(said.SignedAt); err != nil {
			return err
		}
	}
	return c.checkReplay(ctx, said, digest)
}

// verify looks for a Secret that makes one of the MACs that came, and returns that
// MAC. Where none does and Secrets are remembered, they are read anew: one may have
// been rotated since, and the delivery be signed with what it holds now.
func (c *call) verify(ctx context.Context, said provider.Claim) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	if err := c.checkCaller(ctx); err != nil {
		return nil, err
	}
	digest, err := c.match(ctx, said, c.h.secrets.Get)
	newer, remembers := c.h.secrets.(SecretRenewer)
	if err == nil || !remembers || refusal.Of(err).Reason == refusal.Unavailable {
		return digest, err
	}
	return c.match(ctx, said, func(ctx context.Context, namespace, name string) (*Secret, error) {
		return newer.Renew(ctx, namespace, name, c.rec.Time)
	})
}

// match tries all Secrets. What one lacks does not matter if another one fits: a
// new one may be named before it is there.
func (c *call) match(ctx context.Context, said provider.Claim, read readSecret) ([]byte, error) {
	var unusable error
	for _, ref := range c.p.SecretRefs {
		value, state, err := c.h.secret(ctx, read, c.namespace, ref, c.p.sender.Mode, c.rec)
		if err == nil && c.tried(ref, state) {
			continue
		}
		var want []byte
		if err == nil {
			if want, err = said.MAC(value, c.body); err != nil {
				c.rec.Cause = err
				err = c.h.useless(c.namespace, ref)
			}
		}
		if err != nil {
			unusable = worse(unusable, err)
			continue
		}
		for _, digest := range said.Digests {
			if hmac.Equal(digest, want) {
				c.rec.Matched, c.rec.Secret, c.rec.Cause = ref, state, nil
				return digest, nil
			}
		}
		c.misses = append(c.misses, miss{ref, state.ResourceVersion})
	}
	if unusable != nil {
		return nil, unusable
	}
	return nil, c.mismatch(said)
}

// miss is a state of a Secret that has not signed the delivery.
type miss struct {
	ref     SecretKey
	version string
}

func (c *call) tried(ref SecretKey, state SecretState) bool {
	return state.ResourceVersion != "" && slices.Contains(c.misses, miss{ref, state.ResourceVersion})
}

// worse keeps a Secret that could not be read before one that is of no use: the
// former may have been right.
func worse(a, b error) error {
	if a != nil && refusal.Of(a).Reason == refusal.Unavailable {
		return a
	}
	return b
}

func (c *call) mismatch(said provider.Claim) error {
	if said.Covers == provider.StrengthBody && bytes.Contains(c.body, lost) {
		// The body reaches interceptors inside JSON, where bytes that are no UTF-8
		// become U+FFFD, and then no signature fits any more. A body that was sent
		// with that character is still right.
		return refusal.New(refusal.Signature, codes.Unauthenticated,
			"the signature does not match: the body holds U+FFFD, so bytes that are not UTF-8 were lost on the way: "+
				"set the hook's content type to application/json and send UTF-8, uncompressed")
	}
	if len(c.p.SecretRefs) > 1 {
		return refusal.New(refusal.Signature, codes.Unauthenticated,
			"the signature matches none of the %d Secrets in namespace %q that param secretRefs names: give one of them and the hook's settings at the forge the same value, without blanks or newlines around it",
			len(c.p.SecretRefs), c.namespace)
	}
	return refusal.New(refusal.Signature, codes.Unauthenticated,
		"the signature does not match the Secret %q with key %q in namespace %q: give it and the hook's settings at the forge the same value, without blanks or newlines around it",
		c.p.SecretRefs[0].Name, c.p.SecretRefs[0].Key, c.namespace)
}

var lost = []byte("\ufffd")

// checkAge compares in milliseconds, since the largest timestamps do not fit into
// a Duration.
func (c *call) checkAge(signedAt int64) error {
	maxAge, maxSkew := c.maxAge(), c.h.config.MaxSkew.Duration
	age := c.h.now().UnixMilli() - signedAt
	c.rec.Signed, c.rec.Skew = true, milliseconds(age)
	if age > maxAge.Milliseconds() {
		return refusal.New(refusal.Stale, codes.Unauthenticated,
			"the delivery was signed %s ago by this server's clock, and maxAge is %s: redeliver it, or set the clocks, or raise interceptor.maxAge, which limits param maxAge",
			milliseconds(age), maxAge)
	}
	if -age > maxSkew.Milliseconds() {
		return refusal.New(refusal.Future, codes.Unauthenticated,
			"the delivery was signed %s ahead of this server's clock, and interceptor.maxSkew is %s: set the clocks",
			milliseconds(-age), maxSkew)
	}
	return nil
}

// maxAge is the Trigger's, within what the configuration allows.
func (c *call) maxAge() time.Duration {
	if c.p.MaxAge != nil {
		return min(c.p.MaxAge.Duration, c.h.config.MaxAge.Duration)
	}
	return c.h.config.MaxAge.Duration
}

// milliseconds is cut to 100 years, for a Duration does not hold what Unix times
// do.
func milliseconds(ms int64) time.Duration {
	const longest = 100 * 365 * 24 * time.Hour
	return time.Duration(max(-longest.Milliseconds(), min(ms, longest.Milliseconds()))) * time.Millisecond
}

// replayTimeout bounds the question to the replay store; see budgetTimeout.
const replayTimeout = 1500 * time.Millisecond

// checkReplay asks whether the delivery came before in another event.
func (c *call) checkReplay(ctx context.Context, said provider.Claim, digest []byte) error {
	if c.p.Replay == replayOff || said.Ping {
		return nil
	}
	if err := c.checkBodyTime(said); err != nil && c.p.Replay == replayEnforce {
		return err
	}
	result, err := c.claimReplay(ctx, said, digest)
	c.rec.Replay = result
	if c.p.Replay == replayWarn {
		c.rec.Cause = err
		return nil
	}
	if err != nil {
		c.rec.Cause = err
		return refusal.New(refusal.Unavailable, codes.Unavailable,
			"whether this delivery came before cannot be found out just now, and param replay is enforce: redeliver the event; the interceptor's log has the cause")
	}
	if result == ReplaySeen {
		return refusal.New(refusal.Replayed, codes.Unauthenticated,
			"this delivery came before, in another event, and param replay is enforce: push again, or set replay to warn where deliveries are sent again by hand")
	}
	return nil
}

// checkBodyTime refuses a delivery that is older than deliveries are remembered, by a time in
// the body that was signed: whether it came before is not known any more.
func (c *call) checkBodyTime(said provider.Claim) error {
	if said.Covers != provider.StrengthBody || c.p.sender.SignsTime() {
		return nil
	}
	if err := c.readPayload(); err != nil {
		return nil //nolint:nilerr // whatever needs the payload says that it cannot be read
	}
	sent, found := c.p.sender.From.Payload.Time(c.extract, said.Event)
	age, retention := c.h.now().Sub(sent), c.h.config.Replay.Retention.Duration
	if !found || age <= retention {
		return nil
	}
	return refusal.New(refusal.Stale, codes.Unauthenticated,
		"the delivery is of %s by its body, and interceptor.replay.retention is %s: whether it came before is not known any more; push again",
		sent.UTC().Format(time.RFC3339), retention)
}

// readPayload reads the payload once.
func (c *call) readPayload() error {
	if !c.read {
		c.read, c.readErr = true, c.p.sender.From.Payload.Read(c.body, c.extract)
		c.extract.Forge, c.extract.TrustLists = c.forge, c.p.TrustListedFiles
	}
	return c.readErr
}

var errNoReplayStore = errors.New("this server remembers no deliveries")

func (c *call) claimReplay(ctx context.Context, said provider.Claim, digest []byte) (ReplayResult, error) {
	if c.h.replay == nil {
		return "", errNoReplayStore
	}
	until := c.h.now().Add(c.h.config.Replay.Retention.Duration)
	if c.p.sender.SignsTime() { // after that it is too old
		until = time.UnixMilli(said.SignedAt).Add(c.maxAge())
	}
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	return c.h.replay.Claim(ctx, ReplayClaim{
		Namespace: c.namespace, Key: c.replayKey(said, digest), EventID: c.rec.EventID, Until: until,
	})
}

// replayKey is a digest of what makes a delivery: who verified it, its signature and, where
// that covers it or is always the same token, its body. A signature of a time alone is its
// own key: with the body in the key, one added space would make a new delivery. So of two
// hooks that fire in the same millisecond one is refused. The delivery's id is no part of
// the key, since nobody signed that and a sender of old deliveries would change it; nor is
// the Trigger, since all Triggers of an event ask.
func (c *call) replayKey(said provider.Claim, digest []byte) string {
	hash := sha256.New()
	for _, part := range []string{"tekgate replay v1", c.namespace, c.p.sender.From.Name, c.p.sender.Mode.Name,
		c.rec.Matched.Name, c.rec.Matched.Key} {
		hash.Write(append([]byte(part), 0))
	}
	hash.Write(digest)
	if said.Covers != provider.StrengthTime {
		body := sha256.Sum256(c.body)
		hash.Write(body[:])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// conclude judges what a verified delivery is about.
func (c *call) conclude(said provider.Claim) (*provider.Git, error) {
	if said.Ping {
		return nil, refusal.New(refusal.Ping, codes.OK, "the delivery is a ping, the forge's test of the hook: it starts nothing")
	}
	if err := c.readPayload(); err != nil {
		return nil, c.unreadable(err)
	}
	base := provider.Git{Provider: c.p.sender.From.Name, Event: said.Event, DeliveryID: said.DeliveryID,
		Verified: provider.StrengthNone}
	if c.rec.Verified {
		base.Verified = said.Covers
		base.VerifiedBy = c.rec.Matched.Name + "/" + c.rec.Matched.Key
	}
	git, err := c.choose(base)
	c.rec.note(git)
	if err != nil {
		return nil, err
	}
	git.WithFiles(&c.extract.Files)
	return git, nil
}

// choose returns the first change that the filters let through; mostly there is
// but one.
func (c *call) choose(base provider.Git) (*provider.Git, error) {
	x := c.extract
	if len(x.Changes) == 0 {
		return c.examine(nil, base)
	}
	var first *provider.Git
	var why error
	for i := range x.Changes {
		git, err := c.examine(&x.Changes[i], base)
		if err == nil {
			return git, nil
		}
		if why == nil {
			first, why = git, err
		}
	}
	return first, why
}

func (c *call) examine(change *provider.Values, base provider.Git) (*provider.Git, error) {
	git, err := c.p.sender.From.Payload.Build(c.extract, change, base)
	if err != nil {
		return nil, err
	}
	if git.Verified != provider.StrengthBody && !c.p.TrustUnsignedBody {
		git.WithoutURLs() // or anyone who has seen a delivery chooses whose sources are built
	}
	if why := c.extract.Test; why != "" {
		return &git, refusal.New(refusal.Ping, codes.OK, "%s", why)
	}
	return &git, c.p.refuseGit(&git, c.extract)
}

func (c *call) unreadable(err error) error {
	if errors.Is(err, provider.ErrTwice) {
		return refusal.New(refusal.Payload, codes.InvalidArgument,
			"the payload has a key twice, and readers do not agree on which one counts: no forge sends such")
	}
	return refusal.New(refusal.Payload, codes.InvalidArgument,
		"the payload begins like a JSON object and is none: let the forge send application/json")
}

// describe notes what a delivery that was refused says that it is about, unless that was noted.
func (c *call) describe() {
	if c.rec.Repository != "" || c.rec.Ref != "" || c.readPayload() != nil {
		return
	}
	var change *provider.Values
	if len(c.extract.Changes) > 0 {
		change = &c.extract.Changes[0]
	}
	if git, err := c.p.sender.From.Payload.Build(c.extract, change, provider.Git{Event: c.rec.Event}); err == nil {
		c.rec.note(&git)
	}
}

// note keeps what a record has of the extensions.
func (r *Record) note(g *provider.Git) {
	if g != nil {
		r.Action, r.Repository, r.Ref, r.SHA, r.Sender = g.Action, g.Repository, g.Ref, g.SHA, g.Sender
	}
}
