package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/worker/config"
	"github.com/qbridge/qbridge/worker/telemetry"
)

// vendorDomains may be dialled without being named in QBRIDGE_ALLOWED_HOSTS.
var vendorDomains = []string{
	"*.qualys.com", "*.qualys.eu", "*.qualys.it", "*.qualys.in", "*.qualys.ca", "*.qualys.ae", "*.qualys.co.uk", "*.qualys.com.au", "*.qualysksa.com",
	"*.service-now.com",
}

// vendors makes API clients and keeps them by the digest of their connection's
// block, so that a revision that does not touch a connection shares its client,
// token and pacing.
type vendors struct {
	cfg      config.Config
	settings *activities.Settings
	metrics  *telemetry.Metrics
	log      zerolog.Logger

	mu      sync.Mutex
	sources map[string]*activities.Source
	targets map[string]*activities.Target
	shared  map[string]*activities.Lock // by instance
	adding  map[string]*activities.Lock // by subscription
	lengths map[string]*activities.Lengths
}

var _ activities.Vendors = (*vendors)(nil)

func newVendors(cfg config.Config, settings *activities.Settings, m *telemetry.Metrics, log zerolog.Logger) *vendors {
	return &vendors{cfg: cfg, settings: settings, metrics: m, log: log, sources: map[string]*activities.Source{}, targets: map[string]*activities.Target{}, shared: map[string]*activities.Lock{}, adding: map[string]*activities.Lock{}, lengths: map[string]*activities.Lengths{}}
}

// Qualys implements activities.Vendors.
func (v *vendors) Qualys(ctx context.Context, revision, connection string) (*activities.Source, error) {
	_, cfg, err := v.settings.Config(ctx, revision)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(cfg.Qualys, func(q domainconfig.Qualys) bool { return q.Name == connection })
	if i < 0 {
		return nil, &activities.UserError{Message: fmt.Sprintf("revision %s has no Qualys connection %q", revision, connection)}
	}
	return v.source(cfg.Qualys[i])
}

// ServiceNow implements activities.Vendors.
func (v *vendors) ServiceNow(ctx context.Context, revision, connection string) (*activities.Target, error) {
	_, cfg, err := v.settings.Config(ctx, revision)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(cfg.ServiceNow, func(s domainconfig.ServiceNow) bool { return s.Name == connection })
	if i < 0 {
		return nil, &activities.UserError{Message: fmt.Sprintf("revision %s has no ServiceNow connection %q", revision, connection)}
	}
	return v.targetOf(cfg.ServiceNow[i])
}

func (v *vendors) source(q domainconfig.Qualys) (*activities.Source, error) {
	key, err := blockDigest(q)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.sources[key]; ok {
		return s, nil
	}
	c := qualys.Config{Name: q.Name, PageSize: q.PageSize, Timeout: time.Duration(q.Timeout), Now: time.Now}
	if q.Platform != "" {
		c.APIURL, c.GatewayURL, _ = qualys.Platform(strings.ToUpper(q.Platform))
	} else if err := errors.Join(v.expand(&c.APIURL, q.APIURL), v.expand(&c.GatewayURL, q.GatewayURL)); err != nil {
		return nil, err
	}
	c.Auth = q.Auth.Type
	if err := errors.Join(v.secret(&c.Username, q.Auth.Username), v.secret(&c.Password, q.Auth.Password),
		v.secret(&c.ClientID, q.Auth.ClientID), v.secret(&c.ClientSecret, q.Auth.ClientSecret)); err != nil {
		return nil, err
	}
	proxy, err := v.proxy(q.Proxy)
	if err != nil {
		return nil, err
	}
	t, err := v.transport(systemQualys, transport.Options{Name: q.Name, Proxy: proxy, CAFile: q.CAFile, Timeout: time.Duration(q.Timeout), Concurrency: qualysCalls, Reserve: reserveOf(q.Budget),
		Secrets: []string{c.Password, c.ClientSecret}})
	if err != nil {
		return nil, err
	}
	c.Transport = t
	var client qualys.Reader
	if q.API == domainconfig.APIAM {
		client, err = qualys.NewAM(c, qualys.FormatJSON) // a quarter of the time of XML
	} else {
		client, err = qualys.New(c)
	}
	if err != nil {
		return nil, &activities.UserError{Message: err.Error()}
	}
	if v.adding[q.Name] == nil {
		v.adding[q.Name] = activities.NewLock()
	}
	src := &activities.Source{Name: q.Name, Client: client, Adding: v.adding[q.Name]}
	gateway, _ := client.(*qualys.Client)
	if gateway == nil && c.GatewayURL != "" { // api: am, and certificates all the same
		c.PageSize = 0
		if gateway, err = qualys.New(c); err != nil {
			return nil, &activities.UserError{Message: err.Error()}
		}
	}
	if gateway != nil {
		src.Certificates = gateway
	}
	portal, _ := client.(*qualys.AMClient)
	if c.Username != "" && c.APIURL != "" { // tags are read with a password only
		c.PageSize = 0
		tags, err := qualys.NewAM(c, qualys.FormatJSON)
		if err != nil {
			return nil, &activities.UserError{Message: err.Error()}
		}
		src.Tags, src.Portal = activities.NewTagTree(tags, time.Now), tags
		if src.Addresses, err = qualys.NewFO(c); err != nil {
			return nil, &activities.UserError{Message: err.Error()}
		}
		if portal == nil {
			portal = tags
		}
	}
	src.Probe, src.Gateway = qualys.NewProbe(gateway, portal), gateway
	v.sources[key] = src
	return v.sources[key], nil
}

func (v *vendors) targetOf(s domainconfig.ServiceNow) (*activities.Target, error) {
	key, err := blockDigest(s)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.targets[key]; ok {
		return t, nil
	}
	c := servicenow.Config{Name: s.Name, DiscoverySource: s.DiscoverySource, Timeout: time.Duration(s.Timeout), Retries: retries, Now: time.Now}
	c.Auth.Type, c.Auth.KeyID = s.Auth.Type, s.Auth.KeyID
	var certificate, clientKey string
	if err := errors.Join(v.expand(&c.URL, s.URL),
		v.secret(&c.Auth.Username, s.Auth.Username), v.secret(&c.Auth.Password, s.Auth.Password),
		v.secret(&c.Auth.ClientID, s.Auth.ClientID), v.secret(&c.Auth.ClientSecret, s.Auth.ClientSecret),
		v.secret(&c.Auth.PrivateKey, s.Auth.PrivateKey), v.secret(&c.Auth.APIKey, s.Auth.APIKey),
		v.secret(&certificate, s.Auth.Certificate), v.secret(&clientKey, s.Auth.Key)); err != nil {
		return nil, err
	}
	proxy, err := v.proxy(s.Proxy)
	if err != nil {
		return nil, err
	}
	t, err := v.transport(systemServiceNow, transport.Options{Name: s.Name, Proxy: proxy, CAFile: s.CAFile, Timeout: time.Duration(s.Timeout), Concurrency: serviceNowCalls,
		Certificate: certificate, Key: clientKey, Secrets: []string{c.Auth.Password, c.Auth.ClientSecret, c.Auth.APIKey, c.Auth.PrivateKey, clientKey}})
	if err != nil {
		return nil, err
	}
	c.Transport = t
	client, err := servicenow.New(c)
	if err != nil {
		return nil, &activities.UserError{Message: err.Error()}
	}
	if v.shared[s.Name] == nil {
		v.shared[s.Name], v.lengths[s.Name] = activities.NewLock(), activities.NewLengths()
	}
	v.targets[key] = &activities.Target{Name: s.Name, Config: s, Client: client, Shared: v.shared[s.Name], Lengths: v.lengths[s.Name]}
	return v.targets[key], nil
}

// retries is how often a call is made again at once.
const retries = 3

// defaultReserve is the share of a subscription's calls that is left to others.
const defaultReserve = 0.2

func reserveOf(b domainconfig.Budget) float64 {
	if b.Reserve == nil {
		return defaultReserve
	}
	return *b.Reserve
}

// Calls of a connection at a time: Qualys' standard tier allows two; a
// ServiceNow node serves four integration requests side by side.
const (
	qualysCalls     = 2
	serviceNowCalls = 8
)

// Systems, as task queues name them.
const (
	systemQualys     = "qualys"
	systemServiceNow = "servicenow"
)

func (v *vendors) transport(system string, o transport.Options) (*transport.Transport, error) {
	o.AllowedHosts, o.Observe, o.Now = append(slices.Clone(vendorDomains), v.cfg.AllowedHosts...), timed(system, v.metrics.Observe(o.Name)), time.Now
	t, err := transport.New(o)
	if err != nil {
		return nil, &activities.UserError{Message: fmt.Sprintf("connection %s: %v", o.Name, err)}
	}
	return t, nil
}

// webhookTimeout bounds a post to a webhook.
const webhookTimeout = 20 * time.Second

// Webhook implements activities.Webhooks.
func (v *vendors) Webhook(n domainconfig.Notify) (string, *http.Client, error) {
	var address string
	if err := v.secret(&address, n.Webhook); err != nil {
		return "", nil, err
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !domainconfig.IsLoopback(u.Hostname()) {
		return "", nil, &activities.UserError{Message: "the webhook is not a URL such as https://host/path"}
	}
	proxy, err := v.proxy(n.Proxy)
	if err != nil {
		return "", nil, err
	}
	t, err := transport.New(transport.Options{
		Name: "webhook", AllowedHosts: []string{u.Host}, Proxy: proxy, CAFile: n.CAFile, Secrets: []string{address, u.RequestURI()},
		MaxBody: 1 << 20, Timeout: webhookTimeout, Now: time.Now,
	})
	if err != nil {
		return "", nil, &activities.UserError{Message: fmt.Sprintf("webhook: %v", err)}
	}
	return address, &http.Client{Transport: t, Timeout: webhookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// expand resolves a "${env:QBRIDGE_…}" address.
func (v *vendors) expand(out *string, raw string) error {
	*out = raw
	if !domainconfig.IsReference(raw) {
		return nil
	}
	name, err := domainconfig.ParseVariable(raw)
	if err != nil {
		return &activities.UserError{Message: err.Error()}
	}
	if *out = v.cfg.Environment[name]; *out == "" {
		return &activities.UserError{Message: fmt.Sprintf("the worker's environment has no %s: set it and restart the worker", name)}
	}
	if p := domainconfig.CheckURL(*out); p != "" {
		return &activities.UserError{Message: fmt.Sprintf("%s %s: write https://host", name, p)}
	}
	return nil
}

// proxy returns the address of a proxy, which is a secret when it holds a password.
func (v *vendors) proxy(raw string) (string, error) {
	if !domainconfig.IsReference(raw) {
		return raw, nil
	}
	var out string
	err := v.secret(&out, domainconfig.Secret(raw))
	return out, err
}

// maxSecret bounds a secret file.
const maxSecret = 64 << 10

// secret resolves a reference. Errors name the variable or file, never a value.
func (v *vendors) secret(out *string, s domainconfig.Secret) error {
	if s == "" {
		return nil
	}
	ref, err := domainconfig.ParseSecret(s)
	if err != nil {
		return &activities.UserError{Message: "a credential " + err.Error()}
	}
	if ref.Env != "" {
		if *out = v.cfg.Environment[ref.Env]; *out == "" {
			return &activities.UserError{Message: fmt.Sprintf("the worker's environment has no %s: set it and restart the worker", ref.Env)}
		}
		return nil
	}
	if v.cfg.SecretDir == "" {
		return &activities.UserError{Message: fmt.Sprintf("secret file %q is referred to, but QBRIDGE_SECRET_DIR is not set", ref.File)}
	}
	data, err := os.ReadFile(filepath.Join(v.cfg.SecretDir, ref.File))
	if err != nil || len(data) == 0 || len(data) > maxSecret {
		return &activities.UserError{Message: fmt.Sprintf("secret file %q cannot be read from QBRIDGE_SECRET_DIR, or is empty or larger than 64 KiB", ref.File)}
	}
	*out = strings.TrimRight(string(data), "\r\n")
	return nil
}

// blockDigest identifies a connection's block.
func blockDigest(block any) (string, error) {
	b, err := json.Marshal(block)
	if err != nil {
		return "", fmt.Errorf("connection block: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
