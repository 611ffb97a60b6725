// Package config reads the process settings of the worker from the
// environment. What to sync is not here: that is the configuration document,
// which runs receive as data (domain/config).
package config

import (
	"fmt"
	"net"
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
	// RefreshEvery is how often the worker looks for a new revision.
	RefreshEvery time.Duration `env:"QBRIDGE_REFRESH_EVERY" envDefault:"5s"`

	// Environment holds QBRIDGE_* variables that configuration documents may
	// refer to.
	Environment map[string]string `env:"-"`
}

// FromEnvironment reads settings from "KEY=value" pairs. The error of a bad
// setting names its variable.
func FromEnvironment(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars}); err != nil {
		return Config{}, fmt.Errorf("settings: %w", err)
	}
	c.Environment = map[string]string{}
	for k, v := range vars {
		if strings.HasPrefix(k, "QBRIDGE_") {
			c.Environment[k] = v
		}
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		return Config{}, fmt.Errorf("settings: QBRIDGE_LOG_FORMAT is %q: use json or text", c.LogFormat)
	}
	if c.APIToken == "" && !loopback(c.HTTPAddr) {
		return Config{}, fmt.Errorf("settings: QBRIDGE_HTTP_ADDR %s can be reached from other machines: set QBRIDGE_API_TOKEN, or listen on 127.0.0.1", c.HTTPAddr)
	}
	if c.RefreshEvery <= 0 {
		return Config{}, fmt.Errorf("settings: QBRIDGE_REFRESH_EVERY is %s: use a positive duration such as 5s", c.RefreshEvery)
	}
	return c, nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
