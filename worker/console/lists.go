package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// certificateSpans are the choices of the page about certificates, in days.
var certificateSpans = []int{30, 60, 90, 365}

type certificatePage struct {
	contract.CertificateList
	Within int // days; 0: all
	Spans  []int
	More   string
}

func (c *Console) certificates(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	out := certificatePage{Spans: certificateSpans}
	q := url.Values{"schedule": {f.Schedule}, "after": {f.After}, "limit": {strconv.Itoa(recordsPage)}}
	if days, err := strconv.Atoi(r.URL.Query().Get("within")); err == nil && days > 0 && days < 36500 {
		out.Within = days
		q.Set("until", c.opts.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339))
	}
	if err := c.api.get(r.Context(), contract.PathCertificates, q, &out.CertificateList); err != nil {
		c.fail(w, r, err)
		return
	}
	if out.Next != "" {
		out.More = link("/certificates", "schedule", f.Schedule, "within", r.URL.Query().Get("within"), "after", out.Next)
	}
	c.show(w, r, "certificates", "Certificates", out)
}

// exports lists the schedules that write to Qualys.
func (c *Console) exports(w http.ResponseWriter, r *http.Request) {
	var list []config.Schedule
	if cfg := c.config(r.Context()); cfg != nil {
		list = slices.DeleteFunc(slices.Clone(cfg.Schedules), func(s config.Schedule) bool { return !s.ToQualys() })
	}
	c.show(w, r, "exports", "Tags and exports", list)
}

// exportPage is what a schedule to Qualys planned last.
type exportPage struct {
	Schedule  config.Schedule
	Addresses *contract.ExportView
	Tags      *contract.TagPlan
	Nothing   string // why there is no plan
}

func (c *Console) export(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("schedule")
	setup, err := c.opts.Settings.Of(r.Context(), "", name)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	out := exportPage{Schedule: setup.Schedule}
	switch setup.Schedule.Kind {
	case config.KindExport:
		out.Addresses = &contract.ExportView{}
		err = c.api.get(r.Context(), contract.PathExports+"/"+name, nil, out.Addresses)
	case config.KindTags:
		out.Tags = &contract.TagPlan{}
		err = c.api.get(r.Context(), contract.PathTags+"/"+name, nil, out.Tags)
	default:
		http.Redirect(w, r, link("/assets", "schedule", name), http.StatusSeeOther)
		return
	}
	if missing(err) {
		out.Nothing, out.Addresses, out.Tags, err = err.Error(), nil, nil, nil
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.show(w, r, "export", "Plan of "+name, out)
}

// configPage is the active revision, and what changed since the one before.
type configPage struct {
	contract.ConfigView
	Before string
	Lines  []diffLine
	Checks []contract.Check
	Calls  int64
	Tested bool
}

func (c *Console) configuration(w http.ResponseWriter, r *http.Request) {
	out, err := c.configPage(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.show(w, r, "configuration", "Configuration", out)
}

// doctor tests the connections and shows the page with the result.
func (c *Console) doctor(w http.ResponseWriter, r *http.Request) {
	out, err := c.configPage(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	res, err := c.opts.Control.Doctor(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	out.Checks, out.Calls, out.Tested = res.Checks, res.Calls, true
	c.show(w, r, "configuration", "Configuration", out)
}

func (c *Console) configPage(r *http.Request) (configPage, error) {
	var out configPage
	if err := c.api.get(r.Context(), contract.PathConfig, nil, &out.ConfigView); err != nil {
		return out, err
	}
	before := out.Document
	if n, err := strconv.Atoi(strings.TrimPrefix(out.Revision, "r")); err == nil && n > 1 {
		rev, err := c.opts.Store.Revision(r.Context(), "r"+strconv.Itoa(n-1))
		if err != nil && !missing(err) {
			return out, err
		}
		if err == nil {
			out.Before, before = rev.ID, rev.Document
		}
	}
	var err error
	out.Lines, err = diff(before, out.Document)
	return out, err
}
