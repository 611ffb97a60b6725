package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/qql"
	"github.com/qbridge/qbridge/domain/tagging"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Setup is what one schedule of one revision says, compiled.
type Setup struct {
	Revision   string
	Schedule   config.Schedule
	Properties config.Properties
	Rules      *classify.Set
	Mapping    *mapping.Map
	// DiscoverySource is the name under which the target knows us.
	DiscoverySource string
	Tables          map[string]string          // other names of tables in the target
	Listed          map[string]map[string]bool // lists that mappings name, see mapping.Input
	// Filter selects assets; nil: all. Push says that the source takes a filter.
	Filter *qql.Query
	Push   bool
	Budget budget.Rules
	// Tagging are the attributes of a schedule of tags.
	Tagging []tagging.Attribute
	// Ours are the sources under which Qualys shows what we publish; nil: nothing is
	// published to the schedule's subscription.
	Ours map[string]bool
	// Since bounds every run to what changed after it; zero: no bound.
	Since time.Time
	// RulesDigest changes when rules, mapping, sections or filter change; the
	// next run is then a full one.
	RulesDigest string
}

// whole reports whether every run reads all that there is.
func (s *Setup) whole() bool {
	return s.Schedule.Mode == config.ModeFull || s.Schedule.Kind == config.KindCertificates
}

// after returns the later of an instant and the bound of the schedule.
func (s *Setup) after(t time.Time) time.Time {
	if s.Since.After(t) {
		return s.Since
	}
	return t
}

// Settings reads revisions and keeps what was compiled from them: a revision is
// immutable, so an entry never goes stale.
type Settings struct {
	Store store.Revisions

	mu    sync.Mutex
	known map[string]*compiled
}

// keepRevisions bounds the cache; older revisions are compiled again when asked for.
const keepRevisions = 8

type compiled struct {
	config  *config.Config
	rules   map[string]*classify.Set // by API of the source
	mapping *mapping.Map
}

// UserError is an error of configuration or use: no retry mends it, and its
// text names the remedy.
type UserError struct{ Message string }

func (e *UserError) Error() string { return e.Message }

// Config returns the configuration of a revision; an empty id means the active one.
func (s *Settings) Config(ctx context.Context, revision string) (string, *config.Config, error) {
	id, c, err := s.compiled(ctx, revision)
	if err != nil {
		return "", nil, err
	}
	return id, c.config, nil
}

// Of returns the setup of a schedule, or of a trial of it; an empty revision means
// the active one.
func (s *Settings) Of(ctx context.Context, revision, schedule string) (*Setup, error) {
	schedule = contract.TriedSchedule(schedule)
	id, c, err := s.compiled(ctx, revision)
	if err != nil {
		return nil, err
	}
	sched, ok := lo.Find(c.config.Schedules, func(s config.Schedule) bool { return s.Name == schedule })
	if !ok {
		names := lo.Map(c.config.Schedules, func(s config.Schedule, _ int) string { return s.Name })
		return nil, &UserError{Message: fmt.Sprintf("there is no schedule %q; revision %s has %s", schedule, id, strings.Join(names, ", "))}
	}
	filter, err := filterOf(sched.Filter)
	if err != nil {
		return nil, &UserError{Message: fmt.Sprintf("filter of schedule %s: %v", schedule, err)}
	}
	var since time.Time
	if sched.Since != "" {
		if since, err = config.ParseInstant(sched.Since, sched.TimeZone); err != nil {
			return nil, &UserError{Message: fmt.Sprintf("since of schedule %s: %v", schedule, err)}
		}
	}
	rules, err := budgetOf(c.config, &sched)
	if err != nil {
		return nil, &UserError{Message: fmt.Sprintf("blackout of schedule %s: %v", schedule, err)}
	}
	return &Setup{
		Tagging: attributesOf(c.config, &sched), Ours: publishedAs(c.config, sched.Qualys()),
		Budget: rules, Since: since, Filter: filter, Push: apiOf(c.config, sched.Qualys()) == config.APICSAM,
		Revision: id, Schedule: sched, Properties: c.config.Properties,
		Rules: c.rules[apiOf(c.config, sched.Qualys())], Mapping: c.mapping, DiscoverySource: sourceOf(c.config, sched.ServiceNow()), Tables: tablesOf(c.config, sched.ServiceNow()), Listed: map[string]map[string]bool{"tags": lo.SliceToMap(sched.Tags, func(t string) (string, bool) { return t, true })}, RulesDigest: rulesDigest(c, sched),
	}, nil
}

func (s *Settings) compiled(ctx context.Context, revision string) (string, *compiled, error) {
	if revision != "" {
		if c, ok := s.cached(revision); ok {
			return revision, c, nil
		}
	}
	rev, err := s.load(ctx, revision)
	if err != nil {
		return "", nil, err
	}
	if c, ok := s.cached(rev.ID); ok {
		return rev.ID, c, nil
	}
	c, err := compile(rev.Document)
	if err != nil {
		return "", nil, &UserError{Message: fmt.Sprintf("revision %s cannot be used by this worker: %v; apply the configuration again", rev.ID, err)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= keepRevisions {
		s.known = map[string]*compiled{}
	}
	s.known[rev.ID] = c
	return rev.ID, c, nil
}

func (s *Settings) cached(id string) (*compiled, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.known[id]
	return c, ok
}

func (s *Settings) load(ctx context.Context, revision string) (store.Revision, error) {
	if revision == "" {
		rev, err := s.Store.ActiveRevision(ctx)
		if errors.Is(err, store.ErrNotFound) {
			return rev, errNoConfig()
		}
		return rev, err
	}
	rev, err := s.Store.Revision(ctx, revision)
	if errors.Is(err, store.ErrNotFound) {
		return rev, &UserError{Message: fmt.Sprintf("there is no revision %q: leave it out to use the active one", revision)}
	}
	return rev, err
}

// compile decodes a stored document and compiles its rules and mapping.
func compile(document string) (*compiled, error) {
	cfg, err := config.Decode("revision", []byte(document))
	if err != nil {
		return nil, err
	}
	rules := map[string]*classify.Set{}
	for _, q := range cfg.Qualys {
		if rules[q.API] != nil {
			continue
		}
		if rules[q.API], err = classify.Compile(classify.For(q.API, cfg.Rules)); err != nil {
			return nil, err
		}
	}
	m, err := mapping.Extended(cfg.Mappings...)
	if err != nil {
		return nil, err
	}
	return &compiled{config: cfg, rules: rules, mapping: m}, nil
}

// rulesDigest covers everything that changes what an asset becomes.
func rulesDigest(c *compiled, s config.Schedule) string {
	h := sha256.New()
	if s.ToQualys() { // every run compares everything
		fmt.Fprintln(h, s.Direction, s.Kind, s.Source, s.Target)
		return hex.EncodeToString(h.Sum(nil)[:16])
	}
	fmt.Fprintln(h, c.rules[apiOf(c.config, s.Source)].Digest(), c.mapping.Digest(), s.Source, s.Target, s.Filter, s.Operation, s.Existing, s.Fallback.IPOnly)
	for _, k := range slices.Sorted(maps.Keys(s.Sections)) {
		fmt.Fprintln(h, k, s.Sections[k])
	}
	tables := tablesOf(c.config, s.Target)
	for _, k := range slices.Sorted(maps.Keys(tables)) {
		fmt.Fprintln(h, k, tables[k])
	}
	if n := c.config.Properties.Names; n.Form != "" || n.Case != "" || len(n.Never) > 0 {
		fmt.Fprintln(h, n)
	}
	if s.Kind != "" && s.Kind != config.KindInventory {
		fmt.Fprintln(h, s.Kind)
	}
	for _, tag := range s.Tags {
		fmt.Fprintln(h, tag)
	}
	if s.Since != "" || s.ExcludeUnmanaged {
		fmt.Fprintln(h, "since", s.Since, s.TimeZone, s.ExcludeUnmanaged)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// budgetOf compiles what bounds the runs of a schedule.
func budgetOf(cfg *config.Config, s *config.Schedule) (budget.Rules, error) {
	var r budget.Rules
	for _, q := range cfg.Qualys {
		if q.Name == s.Qualys() {
			r.Ceiling = int64(q.Budget.Ceiling)
		}
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return r, err
	}
	for _, text := range s.Blackout {
		w, err := budget.ParseWindow(text, zone)
		if err != nil {
			return r, err
		}
		r.Blackout = append(r.Blackout, w)
	}
	return r, nil
}

func filterOf(text string) (*qql.Query, error) {
	if text == "" {
		return nil, nil
	}
	return qql.Parse(text)
}

// publishedAs returns the sources under which a subscription shows what schedules
// publish to it.
func publishedAs(cfg *config.Config, subscription string) map[string]bool {
	var out map[string]bool
	for i := range cfg.Schedules {
		if s := &cfg.Schedules[i]; s.ToQualys() && s.Kind == config.KindThirdParty && s.Target == subscription && s.ThirdParty != nil {
			if out == nil {
				out = map[string]bool{}
			}
			out[s.ThirdParty.Shown()] = true
		}
	}
	return out
}

// attributesOf returns the attributes that a schedule of tags has.
func attributesOf(cfg *config.Config, s *config.Schedule) []tagging.Attribute {
	if s.Kind != config.KindTags || len(s.Tagging) == 0 {
		return cfg.Tagging
	}
	return lo.Filter(cfg.Tagging, func(a tagging.Attribute, _ int) bool { return slices.Contains(s.Tagging, a.Name) })
}

// sourceOf returns the discovery source of an instance.
func sourceOf(cfg *config.Config, target string) string {
	for _, s := range cfg.ServiceNow {
		if s.Name == target {
			return s.DiscoverySource
		}
	}
	return ""
}
