// Package setup turns a few answers into a first configuration. It is pure: who
// asks — a form, flags, a file — and where the document goes is not its matter.
package setup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/config"
)

// Answers are what a first configuration needs. Secrets are not among them: the
// document refers to variables or files of the worker.
type Answers struct {
	QualysName      string `yaml:"qualys-name"`
	Platform        string `yaml:"platform"` // US1 … KSA1, or private
	APIURL          string `yaml:"api-url"`
	GatewayURL      string `yaml:"gateway-url"`
	API             string `yaml:"api"`
	QualysAuth      string `yaml:"qualys-auth"`
	ServiceNowName  string `yaml:"servicenow-name"`
	ServiceNowURL   string `yaml:"servicenow-url"`
	ServiceNowAuth  string `yaml:"servicenow-auth"`
	DiscoverySource string `yaml:"discovery-source"`
	Schedule        string `yaml:"schedule"`
	Every           string `yaml:"every"` // "15m", "daily 02:30", "manual"
	Existing        string `yaml:"existing"`
	Approval        string `yaml:"approval"`
	SecretsIn       string `yaml:"secrets"` // env | file
}

// private is the platform of those who name their own hosts.
const private = "private"

// manual is the time of a schedule that is started by hand.
const manual = "manual"

// Where secrets are.
const (
	inEnvironment = "env"
	inFiles       = "file"
)

// Defaults are the answers of who presses return.
func Defaults() Answers {
	return Answers{
		QualysName: "corp", Platform: "US1", API: config.APICSAM, QualysAuth: config.QualysPassword,
		ServiceNowName: "prod", ServiceNowAuth: config.AuthBasic, DiscoverySource: config.Defaults.DiscoverySource,
		Schedule: "inventory", Every: "1h", Existing: config.ExistingMetadataOnly, Approval: config.ApprovalAuto, SecretsIn: inEnvironment,
	}
}

// Question asks for one answer.
type Question struct {
	Flag, Title, Help string
	Choices           []string
	Field             func(*Answers) *string
	Asked             func(*Answers) bool // nil: always
	check             func(*Answers, string) string
}

// Check returns what is wrong with an answer, as the rest of the answers are.
func (q Question) Check(a *Answers, s string) error {
	if len(q.Choices) > 0 && !slices.Contains(q.Choices, s) {
		return fmt.Errorf("%s: %q is none of %s", q.Flag, s, strings.Join(q.Choices, ", "))
	}
	if q.check == nil {
		return nil
	}
	if p := q.check(a, s); p != "" {
		return fmt.Errorf("%s: %s", q.Flag, p)
	}
	return nil
}

// Group is what is asked on one page.
type Group struct {
	Title     string
	Questions []Question
}

// Questions returns all questions.
func Questions() []Question {
	var out []Question
	for _, g := range Groups() {
		out = append(out, g.Questions...)
	}
	return out
}

// Groups returns the questions, page by page.
func Groups() []Group {
	own := func(a *Answers) bool { return a.Platform == private }
	return []Group{
		{"Qualys", []Question{
			{Flag: "platform", Title: "Qualys platform", Help: "where the subscription is; see Help > About in Qualys; private: name the hosts", Choices: append(slices.Clone(config.Platforms), private), Field: func(a *Answers) *string { return &a.Platform }},
			{Flag: "api", Title: "Qualys API", Help: "csam: Global AssetView/CSAM v2; am: Asset Management & Tagging v2", Choices: []string{config.APICSAM, config.APIAM}, Field: func(a *Answers) *string { return &a.API }},
		}},
		{"Hosts of the platform", []Question{
			{Flag: "api-url", Title: "API URL", Help: "of a private platform, https://qualysapi.…", Field: func(a *Answers) *string { return &a.APIURL }, Asked: own, check: whenPrivate(address)},
			{Flag: "gateway-url", Title: "Gateway URL", Help: "of a private platform, https://gateway.…", Field: func(a *Answers) *string { return &a.GatewayURL },
				Asked: func(a *Answers) bool { return own(a) && a.API == config.APICSAM },
				check: func(a *Answers, s string) string {
					if a.API == config.APIAM && s == "" {
						return ""
					}
					return whenPrivate(address)(a, s)
				}},
		}},
		{"Log in to Qualys", []Question{
			{Flag: "qualys-auth", Title: "Log in to Qualys by", Help: "password: user name and password; oauth or oidc: a client", Choices: []string{config.QualysPassword, config.QualysOAuth, config.QualysOIDC}, Field: func(a *Answers) *string { return &a.QualysAuth },
				check: func(a *Answers, s string) string {
					if a.API == config.APIAM && s != config.QualysPassword {
						return "Asset Management & Tagging takes a password only"
					}
					return ""
				}},
			{Flag: "qualys-name", Title: "Name of the subscription", Help: "part of every native key in the CMDB; it cannot be changed later", Field: func(a *Answers) *string { return &a.QualysName }, check: name},
		}},
		{"ServiceNow", []Question{
			{Flag: "servicenow-url", Title: "ServiceNow instance", Help: "https://<instance>.service-now.com", Field: func(a *Answers) *string { return &a.ServiceNowURL }, check: func(_ *Answers, s string) string { return address(s) }},
			{Flag: "servicenow-auth", Title: "Log in to ServiceNow by", Help: "some instances refuse basic authentication for integration users",
				Choices: []string{config.AuthBasic, config.AuthClientCredentials, config.AuthPassword, config.AuthJWTBearer, config.AuthAPIKey, config.AuthMutualTLS}, Field: func(a *Answers) *string { return &a.ServiceNowAuth }},
			{Flag: "servicenow-name", Title: "Name of the instance", Help: "how configuration and CLI call it", Field: func(a *Answers) *string { return &a.ServiceNowName }, check: name},
			{Flag: "discovery-source", Title: "Discovery source", Help: "a choice of cmdb_ci.discovery_source; doctor says when it is missing", Field: func(a *Answers) *string { return &a.DiscoverySource }, check: func(_ *Answers, s string) string { return filled(s) }},
		}},
		{"First schedule", []Question{
			{Flag: "schedule", Title: "Name of the schedule", Help: "for example servers", Field: func(a *Answers) *string { return &a.Schedule }, check: name},
			{Flag: "every", Title: "When it runs", Help: "15m, daily 02:30, weekly mon,thu 03:00, monthly 1 04:00 (UTC), or manual", Field: func(a *Answers) *string { return &a.Every }, check: func(_ *Answers, s string) string { return when(s) }},
			{Flag: "existing", Title: "CIs that others created", Help: "metadata-only: leave their columns alone; full: overwrite them", Choices: []string{config.ExistingMetadataOnly, config.ExistingFull}, Field: func(a *Answers) *string { return &a.Existing }},
			{Flag: "approval", Title: "Approval", Help: "auto: write at once; manual: wait for a person", Choices: []string{config.ApprovalAuto, config.ApprovalManual}, Field: func(a *Answers) *string { return &a.Approval }},
			{Flag: "secrets", Title: "Where the worker finds secrets", Help: "env: variables QBRIDGE_SECRET_…; file: files below QBRIDGE_SECRET_DIR", Choices: []string{inEnvironment, inFiles}, Field: func(a *Answers) *string { return &a.SecretsIn }},
		}},
	}
}

func whenPrivate(check func(string) string) func(*Answers, string) string {
	return func(a *Answers, s string) string {
		if a.Platform != private {
			if s != "" {
				return "has no meaning unless the platform is private"
			}
			return ""
		}
		return check(s)
	}
}

// address checks the address of a host, or a reference to a variable of the worker.
func address(s string) string {
	if config.IsReference(s) {
		if _, err := config.ParseVariable(s); err != nil {
			return err.Error()
		}
		return ""
	}
	if p := filled(s); p != "" {
		return p
	}
	return config.CheckURL(s)
}

func filled(s string) string {
	if strings.TrimSpace(s) == "" {
		return "is missing"
	}
	if strings.ContainsAny(s, "\n\r") {
		return "has several lines"
	}
	return ""
}

func name(_ *Answers, s string) string {
	if !config.IsName(s) {
		return fmt.Sprintf("%q is not a name: use up to 40 lower-case letters, digits and hyphens", s)
	}
	return ""
}

func when(s string) string {
	if s == manual {
		return ""
	}
	if _, err := config.ParseDuration(s); err == nil {
		return ""
	}
	if _, err := config.ParseCalendar(s); err == nil {
		return ""
	}
	return fmt.Sprintf("%q is neither an interval (15m), a calendar (daily 02:30), nor manual", s)
}

// Problems returns what is wrong with the answers, each with the flag's name.
func (a *Answers) Problems() []string {
	var out []string
	for _, q := range Questions() {
		if err := q.Check(a, *q.Field(a)); err != nil {
			out = append(out, err.Error())
		}
	}
	return out
}
