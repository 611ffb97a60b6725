package config

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/qql"
)

// Problem is one thing that is wrong in a document, with its place and remedy.
type Problem struct {
	Place   string
	Message string
	Remedy  string
}

func (p Problem) String() string {
	if p.Remedy == "" {
		return p.Place + ": " + p.Message
	}
	return p.Place + ": " + p.Message + "; " + p.Remedy
}

var nameShape = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

// Platforms are the names of Qualys' shared platforms.
var Platforms = []string{"US1", "US2", "US3", "US4", "EU1", "EU2", "EU3", "IN1", "CA1", "AE1", "UK1", "AU1", "KSA1"}

// Sections that a schedule may switch.
var Sections = []string{
	"networkInterfaces", "software", "softwareDetails", "openPorts", "volumes", "services", "userAccounts", "tags", "cloud", "cloudDetails", "cloudTags",
	"processor", "metadata", "model", "location", "owner",
}

// Validate returns everything that is wrong with a document, in its order.
func (c *Config) Validate() []Problem {
	v := &validator{config: c}
	if len(c.Qualys) == 0 || len(c.ServiceNow) == 0 || len(c.Schedules) == 0 {
		v.add("configuration", "is incomplete", "it needs at least one entry each of qualys, servicenow and schedules")
	}
	v.connections()
	for i := range c.Schedules {
		v.schedule(fmt.Sprintf("schedules[%d]", i), &c.Schedules[i])
	}
	for _, api := range []string{APICSAM, APIAM} {
		if _, err := classify.Compile(classify.For(api, c.Rules)); err != nil {
			v.add("rules", strings.TrimPrefix(err.Error(), "classify: "), "")
			break
		}
	}
	v.attributes()
	v.ruleTests()
	if _, err := mapping.Extended(c.Mappings...); err != nil {
		v.add("mappings", strings.TrimPrefix(err.Error(), "mapping: "), "see `qbridge mapping show CLASS` for what there is")
	}
	v.secret("notify.webhook", c.Notify.Webhook, false)
	v.proxy("notify.proxy", c.Notify.Proxy)
	p := c.Properties
	v.check(p.KeepSuccesses >= Duration(time.Hour) && p.KeepErrors >= Duration(time.Hour), "properties", "keepSuccesses or keepErrors is too short", "write 1h or more")
	v.check(p.FailureRatio > 0 && p.FailureRatio <= 1, "properties.failureRatio", fmt.Sprintf("%v is not a share", p.FailureRatio), "write a number from 0.01 to 1")
	v.oneOf("properties.names.form", orDefault(p.Names.Form, asset.FormShort), asset.FormShort, asset.FormFull, asset.FormAsIs)
	v.oneOf("properties.names.case", orDefault(p.Names.Case, asset.CaseLower), asset.CaseLower, asset.CaseUpper, asset.CaseAsIs)
	v.check(p.VerifySample >= 0 && p.VerifySample <= 1000, "properties.verifySample", "is out of range", "write a number from 0 to 1000")
	return v.problems
}

// ruleTests runs the rule tests.
func (v *validator) ruleTests() {
	results, err := v.config.TestRules()
	if err != nil {
		return // reported as such
	}
	for i, r := range results {
		if r.Why != "" {
			v.add(fmt.Sprintf("ruleTests[%d] %s", i, r.Name), r.Why, "mend the rule or the test; `qbridge rules test FILE` runs them all")
		}
	}
}

// TestRules runs the rule tests, in their order. The error is that of rules that
// do not compile.
func (c *Config) TestRules() ([]classify.TestResult, error) {
	sets := map[string]*classify.Set{}
	out := make([]classify.TestResult, len(c.RuleTests))
	for i, t := range c.RuleTests {
		api := orDefault(t.API, APICSAM)
		if api != APICSAM && api != APIAM {
			out[i] = classify.TestResult{Name: t.Name, Why: fmt.Sprintf("api %q is none of %s, %s", t.API, APICSAM, APIAM)}
			continue
		}
		if sets[api] == nil {
			set, err := classify.Compile(classify.For(api, c.Rules))
			if err != nil {
				return nil, err
			}
			sets[api] = set
		}
		out[i] = sets[api].Test(c.RuleTests[i : i+1])[0]
	}
	return out, nil
}

// CheckChange returns what a new document may not change: the name of a
// connection is part of every native key, so a connection cannot be renamed.
func CheckChange(before, after *Config) []Problem {
	var out []Problem
	names := lo.SliceToMap(after.Qualys, func(q Qualys) (string, bool) { return q.Name, true })
	for _, old := range before.Qualys {
		if names[old.Name] {
			continue
		}
		for i, q := range after.Qualys {
			known := slices.ContainsFunc(before.Qualys, func(b Qualys) bool { return b.Name == q.Name })
			if !known && q.Platform == old.Platform && q.GatewayURL == old.GatewayURL && q.Auth == old.Auth {
				out = append(out, Problem{
					Place:   fmt.Sprintf("qualys[%d].name", i),
					Message: fmt.Sprintf("connection %q is renamed to %q, but the name is part of every native key in the CMDB", old.Name, q.Name),
					Remedy:  fmt.Sprintf("keep the name %q", old.Name),
				})
			}
		}
	}
	return out
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

type validator struct {
	config   *Config
	problems []Problem
}

func (v *validator) add(place, message, remedy string) {
	v.problems = append(v.problems, Problem{Place: place, Message: message, Remedy: remedy})
}

func (v *validator) check(ok bool, place, message, remedy string) {
	if !ok {
		v.add(place, message, remedy)
	}
}

func (v *validator) oneOf(place, value string, allowed ...string) {
	v.check(slices.Contains(allowed, value), place, fmt.Sprintf("%q is not known", value), "write one of "+strings.Join(allowed, ", "))
}

// name checks the shape of a name and that it is used once in its list.
func (v *validator) name(place, name string, seen map[string]bool) {
	v.check(nameShape.MatchString(name), place+".name", fmt.Sprintf("%q is not a name", name), "use up to 40 lower-case letters, digits and hyphens")
	v.check(!seen[name], place+".name", fmt.Sprintf("%q is used twice", name), "choose another name")
	seen[name] = true
}

func (v *validator) connections() {
	seen := map[string]bool{}
	for i, q := range v.config.Qualys {
		place := fmt.Sprintf("qualys[%d]", i)
		v.name(place, q.Name, seen)
		v.oneOf(place+".api", q.API, APICSAM, APIAM)
		switch {
		case q.Platform != "":
			v.oneOf(place+".platform", strings.ToUpper(q.Platform), Platforms...)
			v.check(q.APIURL == "" && q.GatewayURL == "", place+".platform", "stands beside apiUrl or gatewayUrl", "keep the platform, or both URLs for a private platform")
		default:
			v.check(q.APIURL != "" && (q.GatewayURL != "" || q.API == APIAM), place, "has no platform", "set platform (for example US2), or apiUrl and gatewayUrl for a private platform")
			v.url(place+".apiUrl", q.APIURL)
			v.url(place+".gatewayUrl", q.GatewayURL)
		}
		v.check(q.Budget.Ceiling >= 0, place+".budget.ceiling", "is negative", "write a number of calls, or leave it out")
		v.check(q.Budget.Reserve == nil || *q.Budget.Reserve >= 0 && *q.Budget.Reserve < 1, place+".budget.reserve", "is not a share", "write a number from 0 to 0.9")
		v.proxy(place+".proxy", q.Proxy)
		v.qualysAuth(place+".auth", &q)
		most := 300
		if q.API == APIAM {
			most = 1000
		}
		v.check(q.PageSize >= 1 && q.PageSize <= most, place+".pageSize", fmt.Sprintf("%d is out of range", q.PageSize), fmt.Sprintf("write a number from 1 to %d", most))
	}
	seen = map[string]bool{}
	for i, s := range v.config.ServiceNow {
		place := fmt.Sprintf("servicenow[%d]", i)
		v.name(place, s.Name, seen)
		v.check(s.URL != "", place+".url", "is missing", "write https://<instance>.service-now.com")
		v.url(place+".url", s.URL)
		v.proxy(place+".proxy", s.Proxy)
		v.serviceNowAuth(place+".auth", &s.Auth)
		v.check(s.Lanes >= 1 && s.Lanes <= 16, place+".lanes", fmt.Sprintf("%d is out of range", s.Lanes), "write a number from 1 to 16")
		v.tables(place+".tables", s.Tables)
		v.check(s.PayloadItems >= 10 && s.PayloadItems <= 1000, place+".payloadItems", fmt.Sprintf("%d is out of range", s.PayloadItems), "write a number from 10 to 1000")
		v.check(s.PayloadBytes >= 64<<10 && s.PayloadBytes <= 10<<20, place+".payloadBytes", fmt.Sprintf("%d is out of range", s.PayloadBytes), "write a number from 65536 to 10485760")
	}
}

// qualysAuth checks that what a way to log in needs is there, and nothing else.
func (v *validator) qualysAuth(place string, q *Qualys) {
	kind := orDefault(q.Auth.Type, QualysPassword)
	types := []string{QualysPassword, QualysOAuth, QualysOIDC}
	v.oneOf(place+".type", kind, types...)
	v.check(q.API != APIAM || kind == QualysPassword, place+".type", "is not known to the Asset Management & Tagging API", "use password")
	client := kind == QualysOAuth || kind == QualysOIDC
	v.credential(place+".username", q.Auth.Username, kind == QualysPassword)
	v.credential(place+".password", q.Auth.Password, kind == QualysPassword)
	v.credential(place+".clientId", q.Auth.ClientID, client)
	v.credential(place+".clientSecret", q.Auth.ClientSecret, client)
}

func (v *validator) serviceNowAuth(place string, a *ServiceNowAuth) {
	types := []string{AuthBasic, AuthClientCredentials, AuthPassword, AuthJWTBearer, AuthAPIKey, AuthMutualTLS}
	v.oneOf(place+".type", a.Type, types...)
	if !slices.Contains(types, a.Type) {
		return // one mistake would be many messages
	}
	is := func(kinds ...string) bool { return slices.Contains(kinds, a.Type) }
	v.credential(place+".username", a.Username, is(AuthBasic, AuthPassword, AuthJWTBearer))
	v.credential(place+".password", a.Password, is(AuthBasic, AuthPassword))
	v.credential(place+".clientId", a.ClientID, is(AuthClientCredentials, AuthPassword, AuthJWTBearer))
	v.secret(place+".clientSecret", a.ClientSecret, is(AuthClientCredentials, AuthPassword))
	v.credential(place+".privateKey", a.PrivateKey, is(AuthJWTBearer))
	v.credential(place+".apiKey", a.APIKey, is(AuthAPIKey))
	v.secret(place+".certificate", a.Certificate, is(AuthMutualTLS))
	v.secret(place+".key", a.Key, is(AuthMutualTLS) || a.Certificate != "")
}

// credential checks a secret that is either needed or has no meaning.
func (v *validator) credential(place string, s Secret, needed bool) {
	v.secret(place, s, needed)
	v.check(needed || s == "", place, "has no meaning for this type", "remove it, or choose another type")
}

// tableShape is the name of a table in ServiceNow.
var tableShape = regexp.MustCompile(`^[a-z][a-z0-9_]{1,79}$`)

// tables checks other names of the tables that qbridge brings.
func (v *validator) tables(place string, tables map[string]string) {
	if len(tables) == 0 {
		return
	}
	m, err := mapping.Extended(v.config.Mappings...)
	if err != nil {
		return // reported as such
	}
	own := append(lo.Map(m.OwnTables(), func(t mapping.Table, _ int) string { return t.Name }), certs.Table().Name)
	for _, name := range slices.Sorted(mapKeys(tables)) {
		v.check(slices.Contains(own, name), place+"."+name, "qbridge has no such table", fmt.Sprintf("did you mean %q?", classify.Nearest(name, own)))
		v.check(tableShape.MatchString(tables[name]), place+"."+name, fmt.Sprintf("%q is not the name of a table", tables[name]), "write a name such as x_acme_asset")
	}
}

func (v *validator) schedule(place string, s *Schedule) {
	names := map[string]bool{}
	for i := range v.config.Schedules {
		if other := &v.config.Schedules[i]; other != s && other.Name == s.Name {
			names[s.Name] = true
		}
	}
	v.name(place, s.Name, names)
	v.oneOf(place+".direction", s.Direction, DirectionToServiceNow, DirectionToQualys)
	v.certificates(place, s)
	if s.ToQualys() {
		v.toQualys(place, s)
		return
	}
	v.oneOf(place+".kind", orDefault(s.Kind, KindInventory), KindInventory, KindSoftwareCatalogue, KindCertificates)
	v.check(len(s.Select)+len(s.Tagging) == 0 && s.Drift == "" && s.Addresses == nil && s.ThirdParty == nil && reflect.ValueOf(s.Metadata).IsZero(), place, "has select, addresses or metadata, which only schedules to Qualys have", "remove them, or set direction: "+DirectionToQualys)
	v.check(s.Kind != KindSoftwareCatalogue || len(s.Sections) == 0, place+".sections", "have no meaning for the catalogue of software", "remove them")
	sources := lo.Map(v.config.Qualys, func(q Qualys, _ int) string { return q.Name })
	targets := lo.Map(v.config.ServiceNow, func(s ServiceNow, _ int) string { return s.Name })
	v.reference(place+".source", s.Source, "qualys", sources)
	v.reference(place+".target", s.Target, "servicenow", targets)
	v.oneOf(place+".approval", s.Approval, ApprovalAuto, ApprovalManual)
	v.check(s.Approval == ApprovalManual || len(s.AutoApprove.Create)+len(s.AutoApprove.Update) == 0, place+".autoApprove", "has no meaning without approval: manual", "set approval: manual, or remove it")
	v.check(s.Approval != ApprovalManual || s.Kind != KindSoftwareCatalogue, place+".approval", "the software catalogue is not approved record by record", "use approval: auto")
	v.waits(place, s)
	v.oneOf(place+".operation", s.Operation, OperationCreateAndUpdate, OperationCreate, OperationUpdate)
	v.oneOf(place+".existing", s.Existing, ExistingMetadataOnly, ExistingFull)
	if s.Filter != "" {
		if _, err := qql.Parse(s.Filter); err != nil {
			v.add(place+".filter", strings.TrimPrefix(err.Error(), "qql: "), "")
		}
	}
	for _, name := range slices.Sorted(mapKeys(s.Sections)) {
		v.check(slices.Contains(Sections, name), place+".sections", fmt.Sprintf("unknown section %q; did you mean %q?", name, classify.Nearest(name, Sections)), "")
	}
	v.check(!s.Sections["tags"] || len(s.Tags) > 0, place+".tags", "names no tags, so the section tags would write none", "list the names of the tags to write")
	v.timing(place, s)
}

// waits checks how records wait for a person.
func (v *validator) waits(place string, s *Schedule) {
	v.check(s.ApprovalBatch >= 0 && s.ApprovalBatch <= 300, place+".approvalBatch", fmt.Sprintf("%d is out of range", s.ApprovalBatch), "write a number from 1 to 300")
	v.check(s.ApprovalExpiry >= 0, place+".approvalExpiry", "is negative", "write for example 14d")
	v.check(s.ApprovalReminder >= 0, place+".approvalReminder", "is negative", "write for example 2d")
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (v *validator) reference(place, name, section string, known []string) {
	switch {
	case name == "":
		v.add(place, "is missing", fmt.Sprintf("name a connection of %s", section))
	case !slices.Contains(known, name):
		v.add(place, fmt.Sprintf("%q is not a connection of %s", name, section), fmt.Sprintf("did you mean %q?", classify.Nearest(name, known)))
	}
}

// timing checks that a schedule says exactly once when it runs.
func (v *validator) timing(place string, s *Schedule) {
	n := lo.Count([]bool{s.Every != 0, s.Calendar != "", s.Once != "", s.Manual}, true)
	v.check(n > 0, place, "does not say when it runs", "set exactly one of every, calendar, once, manual")
	v.check(n < 2, place, fmt.Sprintf("says %d times when it runs", n), "set exactly one of every, calendar, once, manual")
	if _, err := ParseInstant("2026-01-01", s.TimeZone); err != nil {
		v.add(place+".timeZone", err.Error(), "write for example Europe/Zurich, or leave it out for UTC")
		return
	}
	if s.Every != 0 {
		v.check(s.Every >= Duration(time.Second), place+".every", s.Every.String()+" is too short", "write 1s or more")
	}
	for name, text := range map[string]string{"once": s.Once, "since": s.Since} {
		if text == "" {
			continue
		}
		if _, err := ParseInstant(text, s.TimeZone); err != nil {
			v.add(place+"."+name, err.Error(), "write for example 2026-12-01T03:00")
		}
	}
	v.check(s.Jitter >= 0, place+".jitter", "is negative", "write for example 30s")
	v.check(s.Freshness >= 0, place+".freshness", "is negative", "write for example 2h")
	v.check(s.CatchUp >= 0, place+".catchUp", "is negative", "write for example 1h")
	v.oneOf(place+".overlap", orDefault(s.Overlap, OverlapSkip), OverlapSkip, OverlapQueue)
	for i, text := range s.Blackout {
		if _, err := budget.ParseWindow(text, nil); err != nil {
			v.add(fmt.Sprintf("%s.blackout[%d]", place, i), err.Error(), "write for example: mon-fri 08:00-18:00, daily 22:00-02:00")
		}
	}
	v.oneOf(place+".mode", orDefault(s.Mode, ModeIncremental), ModeIncremental, ModeFull)
	if s.Calendar != "" {
		if _, err := ParseCalendar(s.Calendar); err != nil {
			v.add(place+".calendar", err.Error(), "write for example: daily 02:30, weekly mon,thu 03:00, monthly 1 04:00")
		}
	}
}

// url checks an address: https, or http on this machine, or a reference to a
// variable of the worker.
func (v *validator) url(place, raw string) {
	if raw == "" {
		return
	}
	if IsReference(raw) {
		_, err := ParseVariable(raw)
		v.check(err == nil, place, fmt.Sprint(err), "write ${env:QBRIDGE_…}")
		return
	}
	if p := CheckURL(raw); p != "" {
		v.add(place, p, "write https://host")
	}
}

// proxy checks the address of a proxy: with a password it is a secret.
func (v *validator) proxy(place, raw string) {
	if raw == "" {
		return
	}
	if IsReference(raw) {
		v.secret(place, Secret(raw), true)
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5":
		v.add(place, "is not the address of a proxy", "write for example http://proxy.example.com:3128")
	case u.User != nil:
		v.add(place, "holds credentials", "write ${env:QBRIDGE_SECRET_…} or ${file:name} for the whole address")
	}
}

// CheckURL returns what is wrong with the address of a vendor, or "".
func CheckURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "is not a URL"
	case u.User != nil:
		return "holds credentials"
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Sprintf("%q is not the address of a host", raw)
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && IsLoopback(u.Hostname()):
		return ""
	default:
		return fmt.Sprintf("%q is not encrypted", raw)
	}
}

// IsLoopback says whether a host is this machine.
func IsLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// secret checks a reference to a secret without ever printing its text: a
// literal secret would end up in a terminal or log.
func (v *validator) secret(place string, s Secret, required bool) {
	if s == "" {
		v.check(!required, place, "is missing", "write ${env:QBRIDGE_SECRET_…} or ${file:name}")
		return
	}
	if _, err := ParseSecret(s); err != nil {
		v.add(place, err.Error(), "write ${env:QBRIDGE_SECRET_…} or ${file:name}, and rotate a secret that stood in a file")
	}
}

// IsName reports whether a text may name a connection or a schedule.
func IsName(s string) bool { return nameShape.MatchString(s) }
