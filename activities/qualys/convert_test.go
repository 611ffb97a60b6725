package qualys_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/export"
)

func TestAConnectorRecordIsPublishedInTheDocumentedShape(t *testing.T) {
	t.Parallel()
	m, _, err := export.NewMetadata("a1b2", map[string]string{"ownedBy": "j.doe", "assignedLocation.city": "Zurich"}, nil)
	require.NoError(t, err)
	r, _, err := export.ThirdParty(&export.Machine{
		SysID: "a1b2", CloudProvider: "AWS", Metadata: &m, Custom: map[string]string{"sox": "yes"}, Updated: time.Date(2026, 2, 11, 9, 0, 0, 0, time.FixedZone("", 3600)),
		Values: map[string]string{"operatingSystem": "Windows Server 2019", "hostName": "app01", "fqdn": "app01.corp.example", "osVersion": "10"},
		Identity: map[export.Identifier][]string{
			export.ByInstance: {"i-1"}, export.ByUUID: {"4C4C4544-0042-3510-8051-B4C04F4D4832"}, export.BySerial: {"5B8QXM2"}, export.ByMAC: {"00-1A-2B-3C-4D-5E"},
			export.ByFQDN: {"app01.corp.example"}, export.ByNetBIOS: {"APP01"}, export.ByHostName: {"app01"}, export.ByIP: {"10.20.30.41"},
		},
		Adapters: []export.Adapter{{Name: "Ethernet0", MAC: "001a2b3c4d5e", IPs: []string{"10.20.30.41", "2001:db8::1"}, Gateway: "10.20.30.1"}, {MAC: "001a2b3c4d5f"}},
	}, export.Identifiers())
	require.NoError(t, err)
	b, err := json.Marshal(qualys.ConnectorAssetOf(r))
	require.NoError(t, err)
	require.JSONEq(t, `{
		"identityAttributes":{"sourceNativeKey":"a1b2","instanceUuid":"i-1","instanceUuidSource":"AWS","hostName":"app01","netBiosName":"app01","fqdn":"app01.corp.example",
			"macAddress":["00:1a:2b:3c:4d:5e"],"ipAddress":["10.20.30.41"],"serialNumber":"5B8QXM2","hardwareUuid":"4c4c4544-0042-3510-8051-b4c04f4d4832"},
		"coreAttributes":{"operatingSystem":"Windows Server 2019","osVersion":"10","hostName":"app01","fqdn":"app01.corp.example","sourceLastUpdatedDate":"2026-02-11T08:00:00Z",
			"businessMetaData":{"ownedBy":"j.doe"},"assignedLocation":{"city":"Zurich"},"customConnectorAttributes":{"sox":"yes"},
			"networkInterfaces":[
				{"interfaceName":"Ethernet0","macAddress":"00:1A:2B:3C:4D:5E","address":"10.20.30.41","ipv4Address":"10.20.30.41","gatewayAddress":"10.20.30.1"},
				{"interfaceName":"Ethernet0","macAddress":"00:1A:2B:3C:4D:5E","address":"2001:db8::1","ipv6Address":"2001:db8::1","gatewayAddress":"10.20.30.1"},
				{"macAddress":"00:1A:2B:3C:4D:5F"}]}}`, string(b))
}

func TestMetadataAndApplicationsKeepTheirValues(t *testing.T) {
	t.Parallel()
	m, _, err := export.NewMetadata("ci", map[string]string{"ownedBy": "a"}, []string{})
	require.NoError(t, err)
	require.Equal(t, qualys.AssetMetadata{AssetID: 7, Values: map[string]string{"ownedBy": "a"}, Applications: []string{}}, qualys.AssetMetadataOf(7, m))
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, _, err := export.NewApplication("BA1", map[string]string{"name": "Webshop"}, day, day)
	require.NoError(t, err)
	require.Equal(t, qualys.BusinessApp{ID: "BA1", Values: map[string]string{"name": "Webshop"}, Created: day, Updated: day}, qualys.BusinessAppOf(a))
}
