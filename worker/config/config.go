// Package config reads the process settings of the worker from the
// environment. What to sync is not here: that is the configuration document,
// which runs receive as data (domain/config).
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is the worker's process settings.
type Config struct {
	// StoreURL is a file ("var/qbridge.db", SQLite, one worker) or a
	// postgres:// URL (any number of workers).
	StoreURL string `env:"QBRIDGE_STORE_URL" envDefault:"var/qbridge.db"`
	// HTTPAddr serves health, metrics and the read API.
	HTTPAddr string `env:"QBRIDGE_HTTP_ADDR" envDefault:"127.0.0.1:8086"`
	// APIToken is asked of every client of the read API; required when HTTPAddr
	// is not loopback.
	APIToken string `env:"QBRIDGE_API_TOKEN,unset"`
	// SecretDir holds the files that "${file:name}" references name.
	SecretDir string `env:"QBRIDGE_SECRET_DIR"`
	// AllowedHosts may be dialled besides the vendors' domains: host, host:port
	// or *.suffix, separated by commas.
	AllowedHosts []string `env:"QBRIDGE_ALLOWED_HOSTS" envSeparator:","`
	LogLevel     string   `env:"QBRIDGE_LOG_LEVEL" envDefault:"info"`
	LogFormat    string   `env:"QBRIDGE_LOG_FORMAT" envDefault:"json"` // json | text
	// PublicURL is where browsers reach the console, when that is not HTTPAddr:
	// "https://qbridge.example.com". OpenID Connect needs it.
	PublicURL string `env:"QBRIDGE_PUBLIC_URL"`
	// TemporalUI is linked from runs.
	TemporalUI string `env:"QBRIDGE_TEMPORAL_UI"`
	// AdminPassword is the password of the local admin; empty: one is made up and
	// printed when there is no account yet. It has no use where HTTPAddr is not
	// loopback.
	AdminPassword string `env:"QBRIDGE_ADMIN_PASSWORD,unset"`
	OIDC          OIDC   `envPrefix:"QBRIDGE_OIDC_"`
	// OTLPEndpoint takes traces ("http://collector:4318"); empty: none are made.
	OTLPEndpoint string `env:"QBRIDGE_OTLP_ENDPOINT"`
	// FreshnessEvery is how often somebody looks whether schedules are late.
	FreshnessEvery time.Duration `env:"QBRIDGE_FRESHNESS_EVERY" envDefault:"1m"`
	// RefreshEvery is how often the worker looks for a new revision.
	RefreshEvery time.Duration `env:"QBRIDGE_REFRESH_EVERY" envDefault:"5s"`

	// Environment holds QBRIDGE_* variables that configuration documents may
	// refer to.
	Environment map[string]string `env:"-"`
}

// OIDC signs people in through an OpenID Connect provider.
type OIDC struct {
	Issuer       string `env:"ISSUER"` // empty: nobody signs in this way
	ClientID     string `env:"CLIENT_ID"`
	ClientSecret string `env:"CLIENT_SECRET,unset"`
	// Claim names the claim that lists the groups of a person, RoleMap what they
	// give: "qbridge-ops=operator,soc=viewer".
	Claim   string            `env:"ROLES_CLAIM" envDefault:"groups"`
	RoleMap map[string]string `env:"ROLE_MAP" envKeyValSeparator:"="`
}

// Error is a mistake in the settings; the worker ends with exit code 2.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func mistake(format string, args ...any) error { return &Error{Message: fmt.Sprintf(format, args...)} }

// ExitCode is the exit code of the worker for an error: 2 for its settings, else 1.
func ExitCode(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return 2
	}
	return 1
}

// FromCommand reads settings from the environment; the worker takes no arguments.
func FromCommand(args, environ []string) (Config, error) {
	if len(args) > 0 {
		return Config{}, mistake("takes no arguments: its settings are environment variables (QBRIDGE_STORE_URL, QBRIDGE_HTTP_ADDR, TEMPORAL_ADDRESS, …), see README.md")
	}
	return FromEnvironment(environ)
}

// FromEnvironment reads settings from "KEY=value" pairs. The error of a bad
// setting names its variable.
func FromEnvironment(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars}); err != nil {
		return Config{}, mistake("settings: %v", err)
	}
	c.Environment = map[string]string{}
	for k, v := range vars {
		if strings.HasPrefix(k, "QBRIDGE_") {
			c.Environment[k] = v
		}
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		return Config{}, mistake("settings: QBRIDGE_LOG_FORMAT is %q: use json or text", c.LogFormat)
	}
	if c.APIToken == "" && !loopback(c.HTTPAddr) {
		return Config{}, mistake("settings: QBRIDGE_HTTP_ADDR %s can be reached from other machines: set QBRIDGE_API_TOKEN, or listen on 127.0.0.1", c.HTTPAddr)
	}
	if err := c.signIn(); err != nil {
		return Config{}, err
	}
	if c.FreshnessEvery <= 0 {
		return Config{}, mistake("settings: QBRIDGE_FRESHNESS_EVERY is %s: use a positive duration such as 1m", c.FreshnessEvery)
	}
	if c.RefreshEvery <= 0 {
		return Config{}, mistake("settings: QBRIDGE_REFRESH_EVERY is %s: use a positive duration such as 5s", c.RefreshEvery)
	}
	return c, nil
}

// Roles that QBRIDGE_OIDC_ROLE_MAP may give.
var roles = []string{"viewer", "operator", "approver", "config-admin", "auditor", "admin"}

// minPassword is the least length of a password that somebody chooses.
const minPassword = 12

// signIn checks how people sign in.
func (c *Config) signIn() error {
	for name, text := range map[string]string{"QBRIDGE_PUBLIC_URL": c.PublicURL, "QBRIDGE_TEMPORAL_UI": c.TemporalUI, "QBRIDGE_OIDC_ISSUER": c.OIDC.Issuer, "QBRIDGE_OTLP_ENDPOINT": c.OTLPEndpoint} {
		if u, err := url.Parse(text); text != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "") {
			return mistake("settings: %s is %q: write an address such as https://qbridge.example.com", name, text)
		}
	}
	if c.AdminPassword != "" && len(c.AdminPassword) < minPassword {
		return mistake("settings: QBRIDGE_ADMIN_PASSWORD has fewer than %d characters", minPassword)
	}
	if c.AdminPassword != "" && !c.Local() {
		return mistake("settings: QBRIDGE_ADMIN_PASSWORD is for a worker that listens on loopback only: let people sign in with QBRIDGE_OIDC_ISSUER")
	}
	if c.OIDC.Issuer == "" {
		return nil
	}
	switch {
	case c.OIDC.ClientID == "":
		return mistake("settings: QBRIDGE_OIDC_CLIENT_ID is not set: take it from your provider")
	case c.PublicURL == "":
		return mistake("settings: QBRIDGE_PUBLIC_URL is not set: the provider sends people back there")
	case len(c.OIDC.RoleMap) == 0:
		return mistake("settings: QBRIDGE_OIDC_ROLE_MAP is not set, so nobody would have a role: write for example qbridge-ops=operator,soc=viewer")
	}
	for group, role := range c.OIDC.RoleMap {
		if !slices.Contains(roles, role) {
			return mistake("settings: QBRIDGE_OIDC_ROLE_MAP gives %s the role %q, which is none of %s", group, role, strings.Join(roles, ", "))
		}
	}
	return nil
}

// Local reports whether only this machine reaches the worker.
func (c *Config) Local() bool { return loopback(c.HTTPAddr) }

// Secure reports whether browsers reach the console through TLS. What is reached from
// elsewhere is taken to be: the worker itself speaks plain HTTP, behind a proxy.
func (c *Config) Secure() bool {
	return strings.HasPrefix(c.PublicURL, "https:") || (c.PublicURL == "" && !c.Local())
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
