// Package config reads the process settings of the worker from the
// environment. What to sync is not here: that is the configuration document,
// which runs receive as data (domain/config).
package config

import (
	"errors"
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
	if c.RefreshEvery <= 0 {
		return Config{}, mistake("settings: QBRIDGE_REFRESH_EVERY is %s: use a positive duration such as 5s", c.RefreshEvery)
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
