package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/worker/config"
	"github.com/qbridge/qbridge/worker/console"
	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/worker/report"
	"github.com/qbridge/qbridge/workflows/contract"
)

// adminName is the account that a worker makes for itself.
const adminName = "admin"

// providerTimeout bounds one call to an OpenID Connect provider.
const providerTimeout = 10 * time.Second

// mountConsole serves the console.
func (a *app) mountConsole(ctx context.Context, settings *activities.Settings, bodies *activities.Bodies, namespace string) error {
	source := &report.Source{Store: a.store, Settings: settings, Bodies: bodies, Now: time.Now}
	a.reports = report.NewCache(source)
	pages, err := console.New(console.Options{
		API: a.http.API(), Store: a.store, Settings: settings, Control: &console.Temporal{Client: a.temporal}, Source: source, Reports: a.reports,
		TemporalUI: a.cfg.TemporalUI, Namespace: namespace, Now: time.Now, Log: a.log, Version: contract.Version,
	})
	if err != nil {
		return err
	}
	gate, err := access.New(access.Options{
		Store: a.store, Token: a.cfg.APIToken, Secure: a.cfg.Secure(), OIDC: provider(&a.cfg), Now: time.Now, Log: a.log, SignInPage: pages.SignInPage, Refused: pages.Refused,
	})
	if err != nil {
		return err
	}
	if err := a.firstAdmin(ctx); err != nil {
		return err
	}
	handler, err := pages.Handler(gate)
	if err != nil {
		return err
	}
	a.http.Mount(handler)
	return nil
}

// firstAdmin makes an account for whoever sits at this machine: with the password
// that the settings name, else with one that is made up once and printed.
func (a *app) firstAdmin(ctx context.Context) error {
	if !a.cfg.Local() || a.cfg.OIDC.Issuer != "" {
		return nil
	}
	password := a.cfg.AdminPassword
	if password == "" {
		n, err := a.store.CountAccounts(ctx)
		if err != nil || n > 0 {
			return err
		}
		password = rand.Text()
		fmt.Fprintf(a.out, "qbridge-worker: sign in to the console at http://%s as %s with the password %s (shown once; QBRIDGE_ADMIN_PASSWORD sets another one)\n", a.cfg.HTTPAddr, adminName, password)
	} else if known, err := access.HasPassword(ctx, a.store, adminName, password); err != nil || known {
		return err
	}
	err := access.SetPassword(ctx, a.store, adminName, password, access.Admin)
	if errors.Is(err, access.ErrShortPassword) {
		return &config.Error{Message: "settings: QBRIDGE_ADMIN_PASSWORD: " + err.Error()}
	}
	return err
}

// provider returns what signs people in, nil when nothing does.
func provider(cfg *config.Config) *access.OIDC {
	o := cfg.OIDC
	if o.Issuer == "" {
		return nil
	}
	roles := make(map[string]access.Role, len(o.RoleMap))
	for group, role := range o.RoleMap {
		roles[group] = access.Role(role)
	}
	return &access.OIDC{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, PublicURL: cfg.PublicURL, Claim: o.Claim, Roles: roles,
		HTTP: &http.Client{Timeout: providerTimeout},
	}
}
