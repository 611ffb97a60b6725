package setup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/config"
)

// credential is a secret of a way to log in: its key in the document, and its name.
type credential struct{ key, name string }

func qualysCredentials(auth string) []credential {
	if auth == config.QualysPassword {
		return []credential{{"username", "QUALYS_USER"}, {"password", "QUALYS_PASSWORD"}}
	}
	return []credential{{"clientId", "QUALYS_CLIENT_ID"}, {"clientSecret", "QUALYS_CLIENT_SECRET"}}
}

func serviceNowCredentials(auth string) []credential {
	user, password := credential{"username", "SN_USER"}, credential{"password", "SN_PASSWORD"}
	id, secret := credential{"clientId", "SN_CLIENT_ID"}, credential{"clientSecret", "SN_CLIENT_SECRET"}
	switch auth {
	case config.AuthClientCredentials:
		return []credential{id, secret}
	case config.AuthPassword:
		return []credential{user, password, id, secret}
	case config.AuthJWTBearer:
		return []credential{user, id, {"privateKey", "SN_PRIVATE_KEY"}}
	case config.AuthAPIKey:
		return []credential{{"apiKey", "SN_API_KEY"}}
	case config.AuthMutualTLS:
		return []credential{{"certificate", "SN_CERTIFICATE"}, {"key", "SN_KEY"}}
	}
	return []credential{user, password}
}

// where returns the variable or file of a secret, and the reference to it.
func (a *Answers) where(c credential) (place, reference string) {
	if a.SecretsIn == inFiles {
		file := strings.ReplaceAll(strings.ToLower(c.name), "_", "-")
		return file, "${file:" + file + "}"
	}
	return "QBRIDGE_SECRET_" + c.name, "${env:QBRIDGE_SECRET_" + c.name + "}"
}

// Secrets returns what the worker must be given: variables, or files below
// QBRIDGE_SECRET_DIR.
func (a *Answers) Secrets() []string {
	var out []string
	for _, c := range append(qualysCredentials(a.QualysAuth), serviceNowCredentials(a.ServiceNowAuth)...) {
		place, _ := a.where(c)
		out = append(out, place)
	}
	return out
}

// Document returns the configuration, with comments.
func (a *Answers) Document() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by qbridge init. Check it with `qbridge validate`, test it with `qbridge doctor`,")
	line("# apply it with `qbridge apply`. It holds references to secrets, never secrets.")
	line("qualys:")
	line("  - name: %-24s # part of every native key; cannot be changed later", a.QualysName)
	if a.Platform == private {
		line("    apiUrl: %s", quoted(a.APIURL))
		if a.GatewayURL != "" {
			line("    gatewayUrl: %s", quoted(a.GatewayURL))
		}
	} else {
		line("    platform: %s", a.Platform)
	}
	line("    api: %-25s # csam | am", a.API)
	line("    auth:")
	line("      type: %s", a.QualysAuth)
	a.credentials(line, qualysCredentials(a.QualysAuth))
	line("")
	line("servicenow:")
	line("  - name: %s", a.ServiceNowName)
	line("    url: %s", quoted(a.ServiceNowURL))
	line("    auth:")
	line("      type: %s", a.ServiceNowAuth)
	a.credentials(line, serviceNowCredentials(a.ServiceNowAuth))
	line("    discoverySource: %-14s # a choice of cmdb_ci.discovery_source", quoted(a.DiscoverySource))
	line("")
	line("schedules:")
	line("  - name: %s", a.Schedule)
	line("    source: %s", a.QualysName)
	line("    target: %s", a.ServiceNowName)
	switch _, err := config.ParseDuration(a.Every); {
	case a.Every == manual:
		line("    manual: true                   # started by `qbridge run start %s`", a.Schedule)
	case err == nil:
		line("    every: %s", a.Every)
	default:
		line("    calendar: %-20s # in UTC, or timeZone: Europe/Zurich", quoted(a.Every))
	}
	line("    existing: %-20s # CIs that others created: metadata-only | full", a.Existing)
	line("    approval: %-20s # auto | manual", a.Approval)
	line("    # filter: \"operatingSystem.category1:[Windows, Linux]\"")
	line("    # sections: {software: true, volumes: true, openPorts: true, metadata: true}   # the last two need deploy/servicenow/qbridge-tables.xml")
	return b.String()
}

func (a *Answers) credentials(line func(string, ...any), list []credential) {
	for _, c := range list {
		_, reference := a.where(c)
		line("      %s: %s", c.key, quoted(reference))
	}
}

// quoted is a text as YAML holds any text.
func quoted(s string) string { return strconv.Quote(s) }
