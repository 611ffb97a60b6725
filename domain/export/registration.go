package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tracking methods of hosts.
const (
	TrackIP      = "IP"
	TrackDNS     = "DNS"
	TrackNetBIOS = "NETBIOS"
)

// Limits of the texts of a registration, in characters. The vendor publishes none;
// these are the ones that were reported.
const (
	userFields   = 3
	maxUserField = 128
	maxComment   = 4000
)

// Registration is how addresses are added: for which modules, how their hosts are
// tracked, and what stands beside them. It is part of what a reviewer approves.
type Registration struct {
	VM         bool     `yaml:"vm,omitzero" json:"vm"`
	PC         bool     `yaml:"pc,omitzero" json:"pc"`
	SCA        bool     `yaml:"sca,omitzero" json:"sca"`
	CertView   bool     `yaml:"certView,omitzero" json:"certView"`
	Tracking   string   `yaml:"tracking,omitzero" json:"tracking,omitempty"` // IP (default) | DNS | NETBIOS
	Owner      string   `yaml:"owner,omitzero" json:"owner,omitempty"`       // login of a user of the subscription
	Comment    string   `yaml:"comment,omitzero" json:"comment,omitempty"`
	UserFields []string `yaml:"userFields,omitzero" json:"userFields,omitempty"` // at most three
	AssetGroup string   `yaml:"assetGroup,omitzero" json:"assetGroup,omitempty"` // title
}

// Check says what is wrong: the vendor refuses an addition for no module, and a
// text that is too long would be cut somewhere on the way.
func (r *Registration) Check() error {
	if !r.VM && !r.PC && !r.SCA && !r.CertView {
		return errors.New("export: addresses are added for no module: set at least one of vm, pc, sca, certView")
	}
	if !slices.Contains([]string{"", TrackIP, TrackDNS, TrackNetBIOS}, r.Tracking) {
		return fmt.Errorf("export: tracking method %q is none of %s, %s, %s", r.Tracking, TrackIP, TrackDNS, TrackNetBIOS)
	}
	if n := utf8.RuneCountInString(r.Comment); n > maxComment {
		return fmt.Errorf("export: the comment has %d characters, at most %d are taken", n, maxComment)
	}
	if len(r.UserFields) > userFields {
		return fmt.Errorf("export: there are %d user fields, a host has %d", len(r.UserFields), userFields)
	}
	for i, f := range r.UserFields {
		if n := utf8.RuneCountInString(f); n > maxUserField {
			return fmt.Errorf("export: user field %d has %d characters, at most %d are taken", i+1, n, maxUserField)
		}
	}
	for _, text := range append([]string{r.Owner, r.Comment, r.AssetGroup}, r.UserFields...) {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return errors.New("export: owner, comment, user fields and asset group must be text in UTF-8")
		}
	}
	return nil
}
