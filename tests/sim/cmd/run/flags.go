package run

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
	"github.com/qbridge/qbridge/tests/sim/servicenow"
)

// The instance's default credentials hold characters that a client must encode in URLs, forms and headers.
const (
	defaultSNUser     = "qbridge.int+sync"
	defaultSNPassword = "w0rd%2F+&=:/é"
	defaultClientID   = "6f1c0b7a9d2e4c5f8a3b"
	defaultSecret     = "s3cr%t+/=&\"x"
	defaultSource     = "SG-Qualys"
)

// settings are the flags as the simulators want them.
type settings struct {
	qualysAddr, servicenowAddr string
	qualys                     qualys.Options
	servicenow                 servicenow.Options
}

// flagTexts are the flags that need reading before they mean something.
type flagTexts struct {
	state, ireLatency, limits, faults, profile string
	pageSize, unknownField, blocked            string
}

// parse reads the flags; what it refuses is explained on stderr.
func parse(args []string, stderr io.Writer) (*settings, error) {
	var s settings
	var t flagTexts
	fs := flag.NewFlagSet("sim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&s.qualys.Estate.Assets, "assets", 600, "assets of the subscription, at most 4,000,000")
	fs.Uint64Var(&s.qualys.Estate.Seed, "seed", 1, "seed of the estate; the same seed is the same estate")
	fs.IntVar(&s.qualys.Estate.Bad, "bad", 0, "malformed assets among them")
	fs.IntVar(&s.qualys.Estate.Certificates, "certificates", 0, "TLS certificates of the subscription; a quarter of the assets when 0, none when negative")
	fs.Func("certview", "settings of CertView such as window=400,dates=zulu, see tests/sim/README.md", s.qualys.CertView.Set)
	fs.StringVar(&t.profile, "profile", "lean", "size of a computer's record: lean (about 13 KB) or full (about 60 KB)")
	fs.StringVar(&s.qualysAddr, "qualys", "127.0.0.1:8441", "address of the Qualys simulator; port 0 picks a free one")
	fs.StringVar(&s.servicenowAddr, "servicenow", "127.0.0.1:8442", "address of the ServiceNow simulator; port 0 picks a free one")
	fs.StringVar(&t.state, "state", "", "folder for append-only state; memory only without it")
	fs.DurationVar(&s.qualys.PageLatency, "page-latency", 0, "time a page of assets takes, for example 300ms")
	fs.StringVar(&t.ireLatency, "ire-latency", "0s", "time an IRE call takes, plus time per top-level item, for example 40ms+4ms")
	fs.StringVar(&t.limits, "limits", "none", "Qualys limits: none, express, standard, enterprise, premium or concurrency/calls/seconds")
	fs.StringVar(&t.faults, "faults", "", "fault plan of both simulators, see tests/sim/README.md")
	fs.DurationVar(&s.qualys.TokenLifetime, "qualys-token-lifetime", 4*time.Hour, "lifetime of a Qualys token")
	fs.StringVar(&s.qualys.Username, "qualys-user", qualys.DefaultUsername, "Qualys user")
	fs.StringVar(&s.qualys.Password, "qualys-password", qualys.DefaultPassword, "Qualys password")
	fs.StringVar(&t.pageSize, "qualys-page-size", "400", "answer to a pageSize outside 1…300: 400, 416 or clamp")
	fs.IntVar(&s.qualys.V1PageSize, "qualys-v1-page-size", 300, "largest page of the API v1; it was 100 at first")
	fs.BoolVar(&s.qualys.V1Missing, "qualys-v1-missing", false, "leave the members out that the API v1 lacks, instead of null")
	fs.StringVar(&t.unknownField, "qualys-unknown-field", "ignored", "unknown tokens of includeFields: ignored or rejected")
	fs.StringVar(&t.blocked, "qualys-blocked", "documented", "form of a 429: documented, empty-body, empty-headers or wait-on-retry")
	fs.StringVar(&s.servicenow.Username, "servicenow-user", defaultSNUser, "ServiceNow user")
	fs.StringVar(&s.servicenow.Password, "servicenow-password", defaultSNPassword, "ServiceNow password")
	fs.StringVar(&s.servicenow.ClientID, "client-id", defaultClientID, "OAuth client id")
	fs.StringVar(&s.servicenow.ClientSecret, "client-secret", defaultSecret, "OAuth client secret")
	fs.StringVar(&s.servicenow.DiscoverySource, "discovery-source", defaultSource, "discovery source that the instance knows")
	fs.DurationVar(&s.servicenow.TokenLifetime, "servicenow-token-lifetime", 30*time.Minute, "lifetime of a ServiceNow access token")
	fs.IntVar(&s.servicenow.Others.CIs, "other-cis", 0, "CIs that other discovery sources keep in the CMDB; half of them are machines of the subscription")
	fs.Func("update-set", "file with an update set (exported XML) that the ServiceNow instance has committed; may be repeated", func(file string) error {
		data, err := os.ReadFile(file) //nolint:gosec // the caller's own file
		if err != nil {
			return err
		}
		s.servicenow.UpdateSets = append(s.servicenow.UpdateSets, string(data))
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := s.apply(t)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "sim:", err)
	}
	return &s, err
}

func (s *settings) apply(t flagTexts) error {
	var err error
	if s.qualys.Estate.Assets < 1 {
		return errors.New("--assets must be at least 1")
	}
	if s.qualysAddr == "" || s.servicenowAddr == "" {
		return errors.New("--qualys and --servicenow need an address, such as 127.0.0.1:8441; port 0 picks a free one")
	}
	s.qualys.Estate.Profile = estate.Profile(t.profile)
	if s.qualys.Limits, err = qualys.ParseLimits(t.limits); err != nil {
		return err
	}
	if s.servicenow.Latency, s.servicenow.LatencyPerItem, err = latency(t.ireLatency); err != nil {
		return err
	}
	for _, c := range []struct {
		flag, value string
		target      *qualys.Choice
		allowed     []qualys.Choice
	}{
		{"--qualys-page-size", t.pageSize, &s.qualys.PageSize, []qualys.Choice{qualys.PageSize400, qualys.PageSize416, qualys.PageSizeClamp}},
		{"--qualys-unknown-field", t.unknownField, &s.qualys.UnknownField, []qualys.Choice{qualys.FieldIgnored, qualys.FieldRejected}},
		{"--qualys-blocked", t.blocked, &s.qualys.Blocked, []qualys.Choice{qualys.BlockedDocumented, qualys.BlockedEmptyBody, qualys.BlockedEmptyHeaders, qualys.BlockedWaitOnRetry}},
	} {
		for _, a := range c.allowed {
			if c.value == string(a) {
				*c.target = a
			}
		}
		if *c.target == "" {
			return fmt.Errorf("%s %q: want one of %v", c.flag, c.value, c.allowed)
		}
	}
	s.qualys.Faults, s.servicenow.Faults = t.faults, t.faults
	s.servicenow.Others.Estate = s.qualys.Estate
	s.servicenow.Seed = s.qualys.Estate.Seed
	if t.state != "" {
		s.qualys.StateDir = filepath.Join(t.state, "qualys")
		s.servicenow.StateDir = filepath.Join(t.state, "servicenow")
	}
	return nil
}

// latency reads base, or base+perItem.
func latency(text string) (base, perItem time.Duration, err error) {
	first, second, both := strings.Cut(text, "+")
	base, err = time.ParseDuration(first)
	if err == nil && both {
		perItem, err = time.ParseDuration(second)
	}
	if err != nil || base < 0 || perItem < 0 {
		return 0, 0, fmt.Errorf("--ire-latency %q: want a duration, or two as in 40ms+4ms", text)
	}
	return base, perItem, nil
}
