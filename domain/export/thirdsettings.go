package export

import (
	"errors"
	"regexp"
	"strings"
)

// Names by which a connector says what its data comes from.
const (
	SourceServiceNow = "SNOW"
	SourceWebhook    = "WEBHOOK"
)

// ThirdPartySettings are those of a schedule that offers CIs to Qualys as
// third-party assets.
type ThirdPartySettings struct {
	// ConnectorUUID is that of the connector's profile in Qualys.
	ConnectorUUID string `yaml:"connectorUuid" json:"connectorUuid"`
	Source        string `yaml:"source,omitzero" json:"source,omitempty"` // SNOW (default) | WEBHOOK
	// Identifiers are the attributes to offer for identification, the most telling
	// first; left out: all but address.
	Identifiers []Identifier `yaml:"identifiers,omitzero" json:"identifiers,omitempty"`
}

var uuidShape = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// Check says what is wrong, or nothing.
func (s *ThirdPartySettings) Check() error {
	switch {
	case !uuidShape.MatchString(s.ConnectorUUID):
		return errors.New("export: connectorUuid is not a UUID: take it from the connector's profile in Qualys")
	case s.Source != "" && s.Source != SourceServiceNow && s.Source != SourceWebhook:
		return errors.New("export: source is none of " + SourceServiceNow + ", " + SourceWebhook)
	}
	if s.Identifiers == nil {
		return nil
	}
	return CheckIdentifiers(s.Identifiers)
}

// Shown returns the source as the inventory shows it.
func (s *ThirdPartySettings) Shown() string {
	if s.Source == SourceWebhook {
		return SourceWebhook
	}
	return "SERVICENOW"
}

// Shares reports whether two subjects have a value of a kind in common.
func (s *Subject) Shares(other *Subject) bool {
	for _, id := range Identifiers() {
		for _, v := range s.values(id) {
			for _, w := range other.values(id) {
				if strings.EqualFold(v, w) {
					return true
				}
			}
		}
	}
	return false
}
