package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// KindCertificates writes the TLS certificates of the assets that other schedules
// brought into the same instance.
const KindCertificates = "certificates"

// Certificates are settings of a schedule of kind certificates.
type Certificates struct {
	// Version is that of Certificate View's list; default the newest that the
	// platform has.
	Version string `yaml:"version,omitzero" json:"version,omitempty"` // 2.2 | 2.1 | 2
	// RetireAfter is how long a certificate is out of sight until it is retired; two
	// full runs must have missed it, too.
	RetireAfter Duration `yaml:"retireAfter,omitzero" json:"retireAfter,omitzero"` // default 7d
	// Classes are those whose CIs, and those of classes below, get a relation to the
	// certificates that they serve; others are reported.
	Classes []string `yaml:"classes,omitzero" json:"classes,omitempty"` // default cmdb_ci_hardware, cmdb_ci_appl
	// RenewalTracking goes into the column of that name, which makes an instance
	// create tasks for certificates that expire. Without it none is created.
	RenewalTracking string `yaml:"renewalTracking,omitzero" json:"renewalTracking,omitempty"`
}

// CertificateVersions are the versions of the list of certificates.
var CertificateVersions = []string{"2.2", "2.1", "2"}

// retireAfter is how long a certificate is out of sight unless a schedule says
// otherwise.
const retireAfter = Duration(7 * 24 * time.Hour)

// Grace is how long a certificate is out of sight until it is retired.
func (c *Certificates) Grace() time.Duration {
	return time.Duration(orElse(c.RetireAfter, retireAfter))
}

// Related are the classes whose CIs get a relation.
func (c *Certificates) Related() []string {
	if len(c.Classes) > 0 {
		return c.Classes
	}
	return []string{"cmdb_ci_hardware", "cmdb_ci_appl"}
}

func orElse[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// certificates checks a schedule of that kind: it reads all certificates in every
// run, so nothing can select them.
func (v *validator) certificates(place string, s *Schedule) {
	c := &s.Certificates
	set := c.Version != "" || c.RetireAfter != 0 || len(c.Classes) > 0 || c.RenewalTracking != ""
	if s.Kind != KindCertificates {
		v.check(!set, place+".certificates", "has no meaning for another kind of schedule", "set kind: certificates, or remove it")
		return
	}
	none := func(ok bool, setting string) {
		v.check(ok, place+"."+setting, "has no meaning for certificates", "remove it; the certificates are those of assets that are in the CMDB")
	}
	none(s.Filter == "", "filter")
	none(s.Since == "", "since")
	none(len(s.Tags) == 0, "tags")
	none(!s.ExcludeUnmanaged, "excludeUnmanaged")
	none(!s.Fallback.IPOnly, "fallback")
	none(s.Mode != ModeIncremental, "mode")
	for name := range s.Sections {
		v.check(name == "metadata", place+".sections", fmt.Sprintf("%s has no meaning for certificates", name), "remove it; metadata is the only section of certificates")
	}
	if c.Version != "" {
		v.oneOf(place+".certificates.version", c.Version, CertificateVersions...)
	}
	v.check(c.RetireAfter >= 0, place+".certificates.retireAfter", "is negative", "write for example 7d")
	for _, class := range c.Classes {
		v.check(tableShape.MatchString(class), place+".certificates.classes", fmt.Sprintf("%q is not a class", class), "write a class such as cmdb_ci_server")
	}
	v.check(!strings.ContainsAny(c.RenewalTracking, "\x00\n"), place+".certificates.renewalTracking", "is not one line", "write a value of the column's choice list")
}

// certificateSources warns about certificates of assets that nothing brings.
func (v *validator) certificateSources(place string, s *Schedule) {
	if s.Kind != KindCertificates {
		return
	}
	brings := func(other Schedule) bool {
		return orDefault(other.Kind, KindInventory) == KindInventory && other.Source == s.Source && other.Target == s.Target && other.Direction == s.Direction
	}
	v.check(slices.ContainsFunc(v.config.Schedules, brings), place, fmt.Sprintf("no schedule brings assets of %s to %s, so their certificates are all left out", s.Source, s.Target), "add a schedule of kind inventory")
}
