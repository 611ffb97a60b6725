// Package config is the configuration document: what to sync, from where, to
// where, under which rules. It is pure: Decode takes bytes, Validate returns
// problems with their place, and nothing reads files or the environment.
//
// A document holds references to secrets ("${env:QBRIDGE_SECRET_…}",
// "${file:name}"), never secrets.
package config

import (
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/tagging"
)

// Config is one configuration document.
type Config struct {
	Qualys     []Qualys     `yaml:"qualys,omitzero" json:"qualys,omitempty"`
	ServiceNow []ServiceNow `yaml:"servicenow,omitzero" json:"servicenow,omitempty"`
	Schedules  []Schedule   `yaml:"schedules,omitzero" json:"schedules,omitempty"`
	// Rules replaces default classification rules by id, or adds rules.
	Rules classify.Tables `yaml:"rules,omitzero" json:"rules,omitzero"`
	// RuleTests say what assets must become; a configuration whose rules fail them
	// is refused.
	RuleTests []classify.RuleTest `yaml:"ruleTests,omitzero" json:"ruleTests,omitempty"`
	// Mappings override and extend the default mapping by name, in their order.
	Mappings   []*mapping.Document `yaml:"mappings,omitzero" json:"mappings,omitempty"`
	Properties Properties          `yaml:"properties,omitzero" json:"properties,omitzero"`
	Notify     Notify              `yaml:"notify,omitzero" json:"notify,omitzero"`
	// Tagging lists the attributes of CIs that become tags in Qualys.
	Tagging []tagging.Attribute `yaml:"tagging,omitzero" json:"tagging,omitempty"`
}

// Notify says who is told what needs a person.
type Notify struct {
	// Webhook refers to the URL that notices are posted to, as JSON whose member
	// "text" chat systems show. It is a secret, because such URLs hold a token.
	Webhook Secret `yaml:"webhook,omitzero" json:"webhook,omitempty"`
	Proxy   string `yaml:"proxy,omitzero" json:"proxy,omitempty"`
	CAFile  string `yaml:"caFile,omitzero" json:"caFile,omitempty"`
}

// Qualys is one Qualys subscription ("API source"). Its name is part of every
// native key and therefore immutable.
type Qualys struct {
	Name       string     `yaml:"name" json:"name"`
	Platform   string     `yaml:"platform,omitzero" json:"platform,omitempty"`     // preset: US1 … KSA1
	APIURL     string     `yaml:"apiUrl,omitzero" json:"apiUrl,omitempty"`         // for private platforms
	GatewayURL string     `yaml:"gatewayUrl,omitzero" json:"gatewayUrl,omitempty"` // for private platforms
	API        string     `yaml:"api,omitzero" json:"api,omitempty"`               // csam (default) | am
	Auth       QualysAuth `yaml:"auth" json:"auth"`
	// Proxy is the address of a proxy, or a reference to a secret that holds it
	// with user and password. Without it the worker's HTTPS_PROXY counts.
	Proxy    string   `yaml:"proxy,omitzero" json:"proxy,omitempty"`
	CAFile   string   `yaml:"caFile,omitzero" json:"caFile,omitempty"`
	PageSize int      `yaml:"pageSize,omitzero" json:"pageSize,omitempty"` // 1–300, default 300
	Budget   Budget   `yaml:"budget,omitzero" json:"budget,omitzero"`
	Timeout  Duration `yaml:"timeout,omitzero" json:"timeout,omitzero"` // per call, default 300s
}

// Budget bounds what runs take from a subscription that others share.
type Budget struct {
	// Ceiling is how many calls a run may make; then it stops, and the next one
	// goes on where it ended.
	Ceiling int `yaml:"ceiling,omitzero" json:"ceiling,omitempty"`
	// Reserve is the share of the calls per window that is left to others: near it,
	// a run waits until more are free.
	Reserve *float64 `yaml:"reserve,omitzero" json:"reserve,omitempty"` // default 0.2
}

// Auth types of a Qualys subscription.
const (
	QualysPassword = "password"
	QualysOAuth    = "oauth" // a client of the subscription
	QualysOIDC     = "oidc"  // a client of a user
)

// QualysAuth holds secret references.
type QualysAuth struct {
	Type         string `yaml:"type,omitzero" json:"type,omitempty"` // password (default) | oauth | oidc
	Username     Secret `yaml:"username,omitzero" json:"username,omitempty"`
	Password     Secret `yaml:"password,omitzero" json:"password,omitempty"`
	ClientID     Secret `yaml:"clientId,omitzero" json:"clientId,omitempty"`
	ClientSecret Secret `yaml:"clientSecret,omitzero" json:"clientSecret,omitempty"`
}

// ServiceNow is one instance.
type ServiceNow struct {
	Name            string         `yaml:"name" json:"name"`
	URL             string         `yaml:"url" json:"url"`
	Auth            ServiceNowAuth `yaml:"auth" json:"auth"`
	DiscoverySource string         `yaml:"discoverySource,omitzero" json:"discoverySource,omitempty"` // default SG-Qualys
	Proxy           string         `yaml:"proxy,omitzero" json:"proxy,omitempty"`
	CAFile          string         `yaml:"caFile,omitzero" json:"caFile,omitempty"`
	Lanes           int            `yaml:"lanes,omitzero" json:"lanes,omitempty"`               // parallel IRE posts, default 4
	PayloadItems    int            `yaml:"payloadItems,omitzero" json:"payloadItems,omitempty"` // most items per payload, default 250
	PayloadBytes    int            `yaml:"payloadBytes,omitzero" json:"payloadBytes,omitempty"` // default 4 MiB
	Timeout         Duration       `yaml:"timeout,omitzero" json:"timeout,omitzero"`            // per call, default 120s
	// Tables gives other names to the tables that qbridge brings ("u_qbridge_…"),
	// for example those of an application scope of your own.
	Tables map[string]string `yaml:"tables,omitzero" json:"tables,omitempty"`
}

// Values of Qualys.API.
const (
	APICSAM = "csam" // Global AssetView / CSAM v2
	APIAM   = "am"   // Asset Management & Tagging v2
)

// Auth types of a ServiceNow instance.
const (
	AuthBasic             = "basic"
	AuthClientCredentials = "oauth-client-credentials"
	AuthPassword          = "oauth-password"
	AuthJWTBearer         = "oauth-jwt-bearer"
	AuthAPIKey            = "api-key"
	AuthMutualTLS         = "mutual-tls"
)

// ServiceNowAuth holds secret references.
type ServiceNowAuth struct {
	Type         string `yaml:"type" json:"type"`
	Username     Secret `yaml:"username,omitzero" json:"username,omitempty"`
	Password     Secret `yaml:"password,omitzero" json:"password,omitempty"`
	ClientID     Secret `yaml:"clientId,omitzero" json:"clientId,omitempty"`
	ClientSecret Secret `yaml:"clientSecret,omitzero" json:"clientSecret,omitempty"`
	// PrivateKey signs the assertions of oauth-jwt-bearer; KeyID names it.
	PrivateKey Secret `yaml:"privateKey,omitzero" json:"privateKey,omitempty"` // RSA, PEM
	KeyID      string `yaml:"keyId,omitzero" json:"keyId,omitempty"`
	APIKey     Secret `yaml:"apiKey,omitzero" json:"apiKey,omitempty"`
	// Certificate and Key are the client's for mutual-tls, or beside any other type
	// where a gateway asks for them.
	Certificate Secret `yaml:"certificate,omitzero" json:"certificate,omitempty"` // PEM
	Key         Secret `yaml:"key,omitzero" json:"key,omitempty"`                 // PEM
}

// Secret is a reference to a secret: "${env:QBRIDGE_SECRET_NAME}" or
// "${file:name}" (below QBRIDGE_SECRET_DIR). A literal is refused.
type Secret string

// Direction of a schedule.
const (
	DirectionToServiceNow = "qualys-to-servicenow"
	// DirectionToQualys is that of schedules whose source is an instance of
	// ServiceNow and whose target is a subscription of Qualys.
	DirectionToQualys = "servicenow-to-qualys"
)

// Kinds of schedules.
const (
	KindInventory = "inventory"
	// KindSoftwareCatalogue writes the packages that assets have installed and
	// nothing of the assets, so that assets can be paused meanwhile.
	KindSoftwareCatalogue = "software-catalogue"
	// KindMetadata writes business metadata of CIs to their assets (direction
	// servicenow-to-qualys).
	KindMetadata = "metadata"
	// KindExport adds the addresses of CIs that a subscription lacks (direction
	// servicenow-to-qualys).
	KindExport = "export"
	// KindTags keeps a tree of tags as attributes of CIs ask for (direction
	// servicenow-to-qualys).
	KindTags = "tags"
	// KindThirdParty offers CIs as third-party assets, which needs no licence and can
	// be taken back (direction servicenow-to-qualys).
	KindThirdParty = "third-party"
)

// Values of Schedule.Approval, Overlap, Mode, Operation and Existing.
const (
	ApprovalAuto   = "auto"
	ApprovalManual = "manual"

	OverlapSkip  = "skip"
	OverlapQueue = "queue"

	ModeIncremental = "incremental"
	ModeFull        = "full"

	OperationCreateAndUpdate = "create-and-update"
	OperationCreate          = "create"
	OperationUpdate          = "update"

	ExistingMetadataOnly = "metadata-only"
	ExistingFull         = "full"
)

// Schedule is one recurring or manual sync.
type Schedule struct {
	Name      string   `yaml:"name" json:"name"`
	Kind      string   `yaml:"kind,omitzero" json:"kind,omitempty"` // inventory (default) | software-catalogue | certificates | metadata
	Direction string   `yaml:"direction" json:"direction"`
	Source    string   `yaml:"source" json:"source"`
	Target    string   `yaml:"target" json:"target"`
	Every     Duration `yaml:"every,omitzero" json:"every,omitzero"`
	Calendar  string   `yaml:"calendar,omitzero" json:"calendar,omitempty"` // "daily 02:30", "weekly mon,thu 03:00", "monthly 1 04:00"
	Once      string   `yaml:"once,omitzero" json:"once,omitempty"`         // "2026-12-01T03:00"
	Manual    bool     `yaml:"manual,omitzero" json:"manual,omitempty"`
	TimeZone  string   `yaml:"timeZone,omitzero" json:"timeZone,omitempty"` // of calendar, once and since; default UTC
	Jitter    Duration `yaml:"jitter,omitzero" json:"jitter,omitzero"`      // each run begins up to so much later
	// Overlap says what happens when a run is due while one is running.
	Overlap string   `yaml:"overlap,omitzero" json:"overlap,omitempty"` // skip (default) | queue
	CatchUp Duration `yaml:"catchUp,omitzero" json:"catchUp,omitzero"`  // how late a missed run still starts, default 1h
	Paused  bool     `yaml:"paused,omitzero" json:"paused,omitempty"`
	// Freshness is how old what the schedule brings may get until somebody is told;
	// default: twice the interval.
	Freshness Duration `yaml:"freshness,omitzero" json:"freshness,omitzero"`
	Mode      string   `yaml:"mode,omitzero" json:"mode,omitempty"` // incremental (default) | full
	// Blackout lists spans of the week, in the schedule's time zone, in which no
	// call is made: "mon-fri 08:00-18:00". A run stops there, and the next goes on.
	Blackout []string `yaml:"blackout,omitzero" json:"blackout,omitempty"`
	// Since leaves out what Qualys updated last before an instant.
	Since  string `yaml:"since,omitzero" json:"since,omitempty"`   // "2026-01-31" or "2026-01-31T08:00"
	Filter string `yaml:"filter,omitzero" json:"filter,omitempty"` // QQL
	// ExcludeUnmanaged leaves out assets that no agent and no scan of Qualys knows,
	// only passive sensors or third parties.
	ExcludeUnmanaged bool            `yaml:"excludeUnmanaged,omitzero" json:"excludeUnmanaged,omitempty"`
	Sections         map[string]bool `yaml:"sections,omitzero" json:"sections,omitempty"`
	Tags             []string        `yaml:"tags,omitzero" json:"tags,omitempty"` // tags that the section tags writes, with those below them
	Approval         string          `yaml:"approval,omitzero" json:"approval,omitempty"`
	// AutoApprove lets records of a manual schedule pass without a person.
	AutoApprove approval.Auto `yaml:"autoApprove,omitzero" json:"autoApprove,omitzero"`
	// ApprovalBatch is how many approved records are written at a time, and
	// ApprovalExpiry how long a record waits for a decision.
	ApprovalBatch  int      `yaml:"approvalBatch,omitzero" json:"approvalBatch,omitempty"`  // 1–300, default 300
	ApprovalExpiry Duration `yaml:"approvalExpiry,omitzero" json:"approvalExpiry,omitzero"` // default 14 days
	// ApprovalReminder is how long records wait until somebody is told, through the
	// log and the webhook of notify.
	ApprovalReminder Duration `yaml:"approvalReminder,omitzero" json:"approvalReminder,omitzero"` // default 2 days
	Operation        string   `yaml:"operation,omitzero" json:"operation,omitempty"`
	Existing         string   `yaml:"existing,omitzero" json:"existing,omitempty"`
	Fallback         Fallback `yaml:"fallback,omitzero" json:"fallback,omitzero"`
	// Select are the CIs that a schedule to Qualys reads.
	Select []Selection `yaml:"select,omitzero" json:"select,omitempty"`
	// Metadata says what a schedule of kind metadata writes.
	Metadata export.MetadataSettings `yaml:"metadata,omitzero" json:"metadata,omitzero"`
	// Tagging names the attributes of a schedule of kind tags; left out: all. Drift
	// says what becomes of changes that somebody made to their tags by hand.
	Tagging []string `yaml:"tagging,omitzero" json:"tagging,omitempty"`
	Drift   string   `yaml:"drift,omitzero" json:"drift,omitempty"` // repair (default) | report
	// ThirdParty says how a schedule of kind third-party offers CIs.
	ThirdParty *export.ThirdPartySettings `yaml:"thirdParty,omitzero" json:"thirdParty,omitempty"`
	// Addresses says how a schedule of kind export adds addresses.
	Addresses *export.IPSettings `yaml:"addresses,omitzero" json:"addresses,omitempty"`
	// Certificates are settings of kind certificates.
	Certificates Certificates `yaml:"certificates,omitzero" json:"certificates,omitzero"`
}

// ToQualys reports whether a schedule writes to Qualys.
func (s *Schedule) ToQualys() bool { return s.Direction == DirectionToQualys }

// Qualys returns the name of the schedule's Qualys connection, ServiceNow that of
// its instance.
func (s *Schedule) Qualys() string {
	if s.ToQualys() {
		return s.Target
	}
	return s.Source
}

// ServiceNow returns the name of the schedule's instance.
func (s *Schedule) ServiceNow() string {
	if s.ToQualys() {
		return s.Source
	}
	return s.Target
}

// Selection is a part of the CMDB: the rows of a class and its subclasses that an
// encoded query selects.
type Selection struct {
	Table string `yaml:"table" json:"table"`
	Query string `yaml:"query,omitzero" json:"query,omitempty"`
}

// Fallback says what becomes of assets that no rule knows.
type Fallback struct {
	IPOnly bool `yaml:"ipOnly,omitzero" json:"ipOnly,omitempty"` // write cmdb_ci_incomplete_ip instead of skipping
}

// Names says in which form host names become names of CIs. doctor shows which
// form the CIs have that are there.
type Names struct {
	Form  string   `yaml:"form,omitzero" json:"form,omitempty"`   // short (default) | full | as-is
	Case  string   `yaml:"case,omitzero" json:"case,omitempty"`   // lower (default) | upper | as-is
	Never []string `yaml:"never,omitzero" json:"never,omitempty"` // names that identify nothing, beside the vendors' defaults
}

// Properties are settings for all schedules.
type Properties struct {
	RefreshAfter   Duration `yaml:"refreshAfter,omitzero" json:"refreshAfter,omitzero"`   // default 168h
	ResumeWithin   Duration `yaml:"resumeWithin,omitzero" json:"resumeWithin,omitzero"`   // default 48h: longer than a run tries
	Overlap        Duration `yaml:"overlap,omitzero" json:"overlap,omitzero"`             // default 2h
	KeepSuccesses  Duration `yaml:"keepSuccesses,omitzero" json:"keepSuccesses,omitzero"` // outcomes of records that were written or skipped, default 30d
	KeepErrors     Duration `yaml:"keepErrors,omitzero" json:"keepErrors,omitzero"`       // outcomes of failed and rejected records, default 60d
	FailureRatio   float64  `yaml:"failureRatio,omitzero" json:"failureRatio,omitempty"`  // default 0.2, from 100 records on
	AllowUpgrade   *bool    `yaml:"allowUpgrade,omitzero" json:"allowUpgrade,omitempty"`  // class changes; default true
	AllowDowngrade bool     `yaml:"allowDowngrade,omitzero" json:"allowDowngrade,omitempty"`
	AllowSwitch    bool     `yaml:"allowSwitch,omitzero" json:"allowSwitch,omitempty"`
	// FourEyes keeps the author of the active revision from approving what it does.
	FourEyes     bool  `yaml:"fourEyes,omitzero" json:"fourEyes,omitempty"`
	Names        Names `yaml:"names,omitzero" json:"names,omitzero"`
	VerifySample int   `yaml:"verifySample,omitzero" json:"verifySample,omitempty"` // linked CIs read at the start of a run, default 20
}
