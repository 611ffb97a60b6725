package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/qbridge/qbridge/domain/classify"
)

// Defaults are the settings of a document that says nothing.
var Defaults = struct {
	PageSize, Lanes, PayloadItems, PayloadBytes, VerifySample int
	QualysTimeout, ServiceNowTimeout                          Duration
	RefreshAfter, ResumeWithin, Overlap                       Duration
	KeepSuccesses, KeepErrors                                 Duration
	FailureRatio                                              float64
	DiscoverySource                                           string
}{
	PageSize: 300, Lanes: 4, PayloadItems: 250, PayloadBytes: 4 << 20, VerifySample: 20,
	QualysTimeout: Duration(300 * time.Second), ServiceNowTimeout: Duration(120 * time.Second),
	RefreshAfter: Duration(7 * 24 * time.Hour), ResumeWithin: Duration(48 * time.Hour), Overlap: Duration(2 * time.Hour),
	KeepSuccesses: Duration(30 * 24 * time.Hour), KeepErrors: Duration(60 * 24 * time.Hour),
	FailureRatio: 0.2, DiscoverySource: "SG-Qualys",
}

// Decode reads one document strictly and fills in the defaults. name stands in
// error messages: "qbridge.yaml:12:3: unknown key …".
func Decode(name string, data []byte) (*Config, error) {
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, decodeError(name, err)
	}
	var rest any
	if err := dec.Decode(&rest); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: one document only: remove the second \"---\"", name)
	}
	c.fill()
	return &c, nil
}

// Merge joins documents: lists are appended, properties of later ones win.
func Merge(docs ...*Config) *Config {
	out := &Config{}
	for _, d := range docs {
		out.Qualys = append(out.Qualys, d.Qualys...)
		out.ServiceNow = append(out.ServiceNow, d.ServiceNow...)
		out.Schedules = append(out.Schedules, d.Schedules...)
		out.Rules = out.Rules.Override(d.Rules)
		out.RuleTests = append(out.RuleTests, d.RuleTests...)
		out.Mappings = append(out.Mappings, d.Mappings...)
		if d.Notify != (Notify{}) {
			out.Notify = d.Notify
		}
		if !reflect.DeepEqual(d.Properties, filledProperties()) {
			out.Properties = d.Properties
		}
	}
	out.fill()
	return out
}

func filledProperties() Properties {
	var c Config
	c.fill()
	return c.Properties
}

// Canonical returns the document as stable YAML, defaults included.
func Canonical(c *Config) ([]byte, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return b, nil
}

// Digest identifies a document by its meaning: comments, order of keys and
// spelled-out defaults do not change it.
func Digest(c *Config) (string, error) {
	b, err := Canonical(c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), nil
}

// fill sets defaults in place.
func (c *Config) fill() {
	for i := range c.Qualys {
		q := &c.Qualys[i]
		def(&q.API, APICSAM)
		def(&q.PageSize, Defaults.PageSize)
		def(&q.Timeout, Defaults.QualysTimeout)
	}
	for i := range c.ServiceNow {
		s := &c.ServiceNow[i]
		def(&s.DiscoverySource, Defaults.DiscoverySource)
		def(&s.Lanes, Defaults.Lanes)
		def(&s.PayloadItems, Defaults.PayloadItems)
		def(&s.PayloadBytes, Defaults.PayloadBytes)
		def(&s.Timeout, Defaults.ServiceNowTimeout)
		def(&s.Auth.Type, AuthBasic)
	}
	for i := range c.Schedules {
		s := &c.Schedules[i]
		def(&s.Direction, DirectionToServiceNow)
		if s.ToQualys() && s.Kind == KindExport {
			def(&s.Approval, ApprovalManual) // what is added to a subscription cannot be removed again
		}
		def(&s.Approval, ApprovalAuto)
		def(&s.Operation, OperationCreateAndUpdate)
		def(&s.Existing, ExistingMetadataOnly)
	}
	p := &c.Properties
	def(&p.RefreshAfter, Defaults.RefreshAfter)
	def(&p.ResumeWithin, Defaults.ResumeWithin)
	def(&p.Overlap, Defaults.Overlap)
	def(&p.KeepSuccesses, Defaults.KeepSuccesses)
	def(&p.KeepErrors, Defaults.KeepErrors)
	def(&p.FailureRatio, Defaults.FailureRatio)
	def(&p.VerifySample, Defaults.VerifySample)
}

func def[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

var (
	unknownKey  = regexp.MustCompile(`unknown field "([^"]+)"`)
	errorPlace  = regexp.MustCompile(`^\[(\d+):(\d+)\] `)
	firstReason = regexp.MustCompile(`^[^\n]*`)
)

// decodeError turns the decoder's error into one line: place, what is wrong,
// the nearest valid key. The excerpt that the decoder adds is left out, because
// it may show a secret that somebody wrote into the file.
func decodeError(name string, err error) error {
	msg := firstReason.FindString(err.Error())
	place := name
	if m := errorPlace.FindStringSubmatch(msg); m != nil {
		place = fmt.Sprintf("%s:%s:%s", name, m[1], m[2])
		msg = strings.TrimPrefix(msg, m[0])
	}
	if m := unknownKey.FindStringSubmatch(msg); m != nil {
		return fmt.Errorf("%s: unknown key %q; did you mean %q?", place, m[1], classify.Nearest(m[1], keys()))
	}
	return fmt.Errorf("%s: %s", place, msg)
}

// keys returns every key of the document, for the hint of an unknown one.
func keys() []string {
	var out []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
				out = append(out, name)
				walk(t.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return out
}
