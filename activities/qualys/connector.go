package qualys

import (
	"context"
	"regexp"
	"strings"
	"time"
)

// MaxConnectorBatch is how many records one sync carries: the vendor publishes no
// limit, and this many were seen to work.
const MaxConnectorBatch = 100

// Sources of a connector.
const (
	ConnectorServiceNow = "SNOW"
	ConnectorWebhook    = "WEBHOOK"
)

// ConnectorBatch is what one sync carries.
type ConnectorBatch struct {
	// RequestID is made by the caller, the same for the same batch, so that what was
	// sent twice can be told in the vendor's log.
	RequestID     string
	Source        string // default WEBHOOK
	ConnectorUUID string
	Assets        []ConnectorAsset
}

// ConnectorAsset is a third-party asset: what identifies it, and what is known of
// it.
type ConnectorAsset struct {
	Identity ConnectorIdentity `json:"identityAttributes"`
	Core     ConnectorCore     `json:"coreAttributes"`
}

// ConnectorIdentity are the attributes that identification rules compare.
type ConnectorIdentity struct {
	SourceNativeKey    string   `json:"sourceNativeKey"`
	InstanceUUID       string   `json:"instanceUuid,omitempty"`
	InstanceUUIDSource string   `json:"instanceUuidSource,omitempty"`
	HostName           string   `json:"hostName,omitempty"`
	NetBIOSName        string   `json:"netBiosName,omitempty"`
	FQDN               string   `json:"fqdn,omitempty"`
	MACAddress         []string `json:"macAddress,omitempty"`
	IPAddress          []string `json:"ipAddress,omitempty"`
	SerialNumber       string   `json:"serialNumber,omitempty"`
	HardwareUUID       string   `json:"hardwareUuid,omitempty"`
}

// ConnectorCore are the attributes of a third-party asset.
type ConnectorCore struct {
	OperatingSystem   string               `json:"operatingSystem,omitempty"`
	OSVersion         string               `json:"osVersion,omitempty"`
	OSArchitecture    string               `json:"osArchitecture,omitempty"`
	HostName          string               `json:"hostName,omitempty"`
	Address           string               `json:"address,omitempty"`
	DNSName           string               `json:"dnsName,omitempty"`
	NetBIOSName       string               `json:"netBiosName,omitempty"`
	FQDN              string               `json:"fqdn,omitempty"`
	Domain            string               `json:"domain,omitempty"`
	DomainRole        string               `json:"domainRole,omitempty"`
	LastLoggedOnUser  string               `json:"lastLoggedOnUser,omitempty"`
	NetworkInterfaces []ConnectorInterface `json:"networkInterfaces,omitempty"`
	BusinessMetadata  map[string]string    `json:"businessMetaData,omitempty"`
	AssignedLocation  map[string]string    `json:"assignedLocation,omitempty"`
	Custom            map[string]string    `json:"customConnectorAttributes,omitempty"`
	Created           string               `json:"sourceCreatedDate,omitempty"` // 2026-01-31T08:00:00Z
	Updated           string               `json:"sourceLastUpdatedDate,omitempty"`
}

// ConnectorInterface is one address of an adapter.
type ConnectorInterface struct {
	Name    string `json:"interfaceName,omitempty"`
	MAC     string `json:"macAddress,omitempty"`
	Address string `json:"address,omitempty"`
	IPv4    string `json:"ipv4Address,omitempty"`
	IPv6    string `json:"ipv6Address,omitempty"`
	Gateway string `json:"gatewayAddress,omitempty"`
	Type    string `json:"type,omitempty"` // LOCAL | PRIVATE | ELASTIC | PUBLIC
}

var uuidShape = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// SyncConnector publishes third-party assets. Refused records are keyed by their
// native key. Publishing the same record again updates the same asset, so that a
// call with KindUnknownOutcome may be repeated as it is.
//
// CSAM API, import third-party assets: POST
// /rest/2.0/am/connector/asset/data/sync; 200 accepts all records for later
// processing, 207 names the refused ones. Reading the asset back confirms it.
// Errors: KindInvalidRequest (an attribute, a right, the feature is off),
// KindRateLimited, KindUnknownOutcome.
func (c *Client) SyncConnector(ctx context.Context, b ConnectorBatch) (Accepted, Meta, error) {
	const op = "publish third-party assets"
	if err := batch(op, len(b.Assets), MaxConnectorBatch); err != nil {
		return Accepted{}, Meta{}, err
	}
	if b.Source == "" {
		b.Source = ConnectorWebhook
	}
	switch {
	case !uuidShape.MatchString(b.ConnectorUUID):
		return Accepted{}, Meta{}, refuse(op, "the connector's UUID is missing or not one: take it from the connector's profile")
	case b.RequestID == "":
		return Accepted{}, Meta{}, refuse(op, "the batch has no request id")
	case b.Source != ConnectorServiceNow && b.Source != ConnectorWebhook:
		return Accepted{}, Meta{}, refuse(op, "source %q is none of %s, %s", b.Source, ConnectorServiceNow, ConnectorWebhook)
	}
	keys, seen := make([][]string, len(b.Assets)), map[string]bool{}
	for i := range b.Assets {
		id := &b.Assets[i].Identity
		if id.SourceNativeKey == "" || seen[id.SourceNativeKey] {
			return Accepted{}, Meta{}, refuse(op, "record %d of the batch has no native key, or that of another", i+1)
		}
		seen[id.SourceNativeKey] = true
		for _, name := range []string{id.SourceNativeKey, id.HostName, id.FQDN, id.SerialNumber} {
			if name != "" {
				keys[i] = append(keys[i], name)
			}
		}
	}
	body := map[string]any{
		"connectorMetaData": map[string]any{"requestId": b.RequestID, "assetCount": len(b.Assets), "source": b.Source, "connectorUuid": b.ConnectorUUID},
		"assetData":         b.Assets,
	}
	return c.post(ctx, op, "/rest/2.0/am/connector/asset/data/sync", body, keys)
}

// connectorInterfaces are one entry per address of an adapter, or one without.
func connectorInterfaces(name, mac, gateway string, ips []string) []ConnectorInterface {
	base := ConnectorInterface{Name: name, MAC: strings.ToUpper(mac), Gateway: gateway}
	if len(ips) == 0 {
		return []ConnectorInterface{base}
	}
	var out []ConnectorInterface
	for _, ip := range ips {
		in := base
		if in.Address = ip; strings.Contains(ip, ":") {
			in.IPv6 = ip
		} else {
			in.IPv4 = ip
		}
		out = append(out, in)
	}
	return out
}

// date writes an instant as the connector takes it, and none as "".
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
