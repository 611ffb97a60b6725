package activities

import (
	"context"
	"errors"
	"slices"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Vendors hands out API clients for the connections of a revision. Clients are
// shared: token, pacing and limits of a connection live in one place.
type Vendors interface {
	Qualys(ctx context.Context, revision, connection string) (*Source, error)
	ServiceNow(ctx context.Context, revision, connection string) (*Target, error)
	// CheckQualys and CheckServiceNow test a connection that need not be stored
	// yet and return one line per capability.
	CheckQualys(ctx context.Context, q config.Qualys, n SourceNeeds) []contract.Check
	CheckServiceNow(ctx context.Context, s config.ServiceNow, n Needs) []contract.Check
}

// SourceNeeds are what a configuration needs of a subscription.
type SourceNeeds struct {
	Survey   bool // look at what the configuration does not use, too
	Tags     bool // a schedule writes them
	Metadata bool // a schedule writes business metadata of assets
	Add      bool // a schedule adds addresses
	Tagging  bool // a schedule makes tags
	Publish  bool // a schedule offers CIs as third-party assets
	// Certificates says that a schedule reads them; Required that the run which asks
	// is one of them.
	Certificates, Required bool
}

// SourceNeedsOf returns what a configuration needs of one of its subscriptions.
func SourceNeedsOf(cfg *config.Config, source string) SourceNeeds {
	var n SourceNeeds
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		if s.Qualys() != source {
			continue
		}
		n.Tags = n.Tags || !s.ToQualys() && s.Sections["tags"]
		n.Metadata = n.Metadata || s.ToQualys() && s.Kind == config.KindMetadata
		n.Add = n.Add || s.ToQualys() && s.Kind == config.KindExport
		n.Tagging = n.Tagging || s.ToQualys() && s.Kind == config.KindTags
		n.Publish = n.Publish || s.ToQualys() && s.Kind == config.KindThirdParty
		n.Certificates = n.Certificates || s.Kind == config.KindCertificates
	}
	return n
}

// OfRun leaves what runs of a kind of schedules need: no run ends for want of a right
// that only others use.
func (n SourceNeeds) OfRun(kind string) SourceNeeds {
	n.Tags = n.Tags && kind == ""
	n.Metadata = n.Metadata && kind == config.KindMetadata
	n.Add = n.Add && kind == config.KindExport
	n.Tagging = n.Tagging && kind == config.KindTags
	n.Publish = n.Publish && kind == config.KindThirdParty
	return n
}

// Needs are what a configuration needs of an instance.
type Needs struct {
	Survey  bool     // look at what the configuration does not use, too
	Classes []string // that CIs may get
	Tables  []string // for rows beside CIs, under the names they have there
	Cloud   bool     // a schedule writes CIs of clouds
	// Certificates and Required are those of SourceNeeds.
	Certificates, Required bool
}

// NeedsOf returns what a configuration needs of one of its instances.
func NeedsOf(cfg *config.Config, target string) Needs {
	var n Needs
	for _, api := range apisOf(cfg, target) {
		if rules, err := classify.Compile(classify.For(api, cfg.Rules)); err == nil { // else a problem of the document, reported as such
			n.Classes = append(n.Classes, rules.Classes()...)
		}
	}
	slices.Sort(n.Classes)
	n.Classes = slices.Compact(n.Classes)
	m, err := mapping.Extended(cfg.Mappings...)
	if err != nil {
		return n
	}
	sections := m.Sections()
	names := tablesOf(cfg, target)
	var assets []config.Schedule // that bring assets
	for _, s := range cfg.Schedules {
		if s.Target == target && s.Kind == config.KindCertificates {
			n.Certificates = true
			if t := certs.Table(); s.Sections[t.Section] && !slices.Contains(n.Tables, orElse(names[t.Name], t.Name)) {
				n.Tables = append(n.Tables, orElse(names[t.Name], t.Name))
			}
			continue
		}
		assets = append(assets, s)
	}
	n.Cloud = slices.ContainsFunc(assets, func(s config.Schedule) bool {
		on, set := s.Sections["cloud"]
		return writesTo(&s, target) && (set && on || !set && sections["cloud"])
	})
	for _, t := range m.OwnTables() {
		for _, s := range assets {
			on, set := s.Sections[t.Section]
			if name := orElse(names[t.Name], t.Name); writesTo(&s, target) && (set && on || !set && sections[t.Section]) && !slices.Contains(n.Tables, name) {
				n.Tables = append(n.Tables, name)
			}
		}
	}
	return n
}

// writesTo reports whether a schedule brings assets into an instance.
func writesTo(s *config.Schedule, target string) bool { return !s.ToQualys() && s.Target == target }

// apisOf returns the APIs of the sources that schedules bring into an instance.
func apisOf(cfg *config.Config, target string) []string {
	var out []string
	for _, s := range cfg.Schedules {
		if api := apiOf(cfg, s.Source); writesTo(&s, target) && !slices.Contains(out, api) {
			out = append(out, api)
		}
	}
	return out
}

// apiOf returns the API of a source.
func apiOf(cfg *config.Config, source string) string {
	for _, q := range cfg.Qualys {
		if q.Name == source {
			return q.API
		}
	}
	return ""
}

// tablesOf returns the other names that an instance has for tables of ours.
func tablesOf(cfg *config.Config, target string) map[string]string {
	for _, s := range cfg.ServiceNow {
		if s.Name == target {
			return s.Tables
		}
	}
	return nil
}

func orElse(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// Source is one Qualys connection.
type Source struct {
	Name   string
	Client qualys.Reader
	// Probe asks what the account may do.
	Probe *qualys.Probe
	// Gateway writes to assets; nil where the connection has no gateway.
	Gateway *qualys.Client
	// Certificates reads Certificate View; nil where the connection has no gateway.
	Certificates qualys.CertificateReader
	// Tags is the tree of tags; nil where the login cannot read it.
	Tags *TagTree
	// Portal makes tags; nil where the login cannot.
	Portal *qualys.AMClient
	// Addresses is the API for addresses; nil where the login cannot use it.
	Addresses *qualys.FOClient
	// Adding serialises what is added to the subscription. All revisions of a
	// connection have the same one.
	Adding *Lock
}

// Target is one ServiceNow connection.
type Target struct {
	Name   string
	Config config.ServiceNow
	Client *servicenow.Client
	// Shared serialises what must not be written twice at the same time: shared
	// items and reference rows. All revisions of a connection have the same one.
	Shared *Lock
	// Lengths are those of the instance's columns, shared like Shared.
	Lengths *Lengths
}

// Lock is a mutex whose waiters give up when their context ends.
type Lock struct{ held chan struct{} }

// NewLock returns a free lock.
func NewLock() *Lock { return &Lock{held: make(chan struct{}, 1)} }

// Lock takes the lock, or returns the reason why ctx ended.
func (l *Lock) Lock(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock frees the lock; the caller holds it.
func (l *Lock) Unlock() { <-l.held }

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
