package golden_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/classify"
)

// TestGoldenAssetsThroughAssetManagement runs the cases that the Asset Management &
// Tagging API can carry, in its form of an asset and by its rules. It knows no
// categories and no serial numbers: class, name, adapters and instances must be as
// wanted.
func TestGoldenAssetsThroughAssetManagement(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, classify.APIAM)
	carried := 0
	for _, c := range load(t) {
		if !c.carriedByAM() {
			continue
		}
		carried++
		t.Run(strings.TrimSuffix(c.file, ".yaml")+"/"+c.Name, func(t *testing.T) {
			t.Parallel()
			raw, err := json.Marshal(map[string]any{"HostAsset": hostAsset(c.Asset)})
			require.NoError(t, err)
			got := p.run(t, &c, portal(t, raw))
			for _, d := range got.differences(c.wantOfAM()) {
				t.Errorf("%s; if this API cannot say more, give the case amClass or am: false", d)
			}
		})
	}
	require.GreaterOrEqual(t, carried, 60, "cases that the API can carry")
}

// carriedByAM reports whether the API can say enough about the asset: the raw name
// of the operating system is all that its rules have in place of categories.
func (c *goldenCase) carriedByAM() bool {
	if c.Todo != "" || (c.Want.AM != nil && !*c.Want.AM) {
		return false
	}
	name, _ := at(c.Asset, "operatingSystem", "osName").(string)
	return name != "" || c.Want.AMClass != ""
}

// wantOfAM is the part of the expectation that both APIs have in common.
func (c *goldenCase) wantOfAM() *expectation {
	want := expectation{Skip: c.Want.Skip, Class: c.Want.Class, UpdateOnly: c.Want.UpdateOnly, Attributes: map[string]any{}, Items: map[string]int{}}
	if c.Want.AMClass != "" {
		want.Class = c.Want.AMClass
	}
	if name, ok := c.Want.Attributes["name"]; ok {
		want.Attributes["name"] = name
	}
	for _, class := range []string{"cmdb_ci_network_adapter", "cmdb_ci_ip_address", "cmdb_ci_vm_instance"} {
		if n, ok := c.Want.Items[class]; ok {
			want.Items[class] = n
		}
	}
	return &want
}

// hostAsset renders the facts of an asset as a HostAsset of the Asset Management &
// Tagging API v2. What that API has no field for is left out.
func hostAsset(a map[string]any) map[string]any {
	id := a["assetId"]
	if id == nil {
		id = 1
	}
	h := object{
		"id": id, "name": a["assetName"], "type": "HOST", "created": a["createdDate"], "modified": a["lastModifiedDate"], "qwebHostId": a["hostId"],
		"lastSystemBoot": a["lastBoot"], "lastLoggedOnUser": a["lastLoggedOnUser"], "fqdn": a["fqdn"], "os": at(a, "operatingSystem", "osName"),
		"dnsHostName": a["dnsName"], "netbiosName": a["netbiosName"], "address": a["address"], "trackingMethod": at(a, "inventory", "source"),
		"manufacturer": at(a, "hardware", "manufacturer"), "model": modelOf(a), "totalMemory": a["totalMemory"], "timezone": a["timeZone"],
		"biosDescription": a["biosDescription"], "criticalityScore": at(a, "criticality", "score"),
		"isDockerHost": fmt.Sprint(a["isContainerHost"] == true), // a text, as the API sends it
	}
	if agent := a["agentId"]; agent != nil {
		h["agentInfo"] = object{"agentId": agent, "status": "STATUS_ACTIVE"}
	}
	if cpu := at(a, "processor", "description"); cpu != nil {
		h["processor"] = list("HostAssetProcessor", object{"name": cpu, "speed": at(a, "processor", "speed")}.known())
	}
	sections(a, h)
	if source, kind, provider := cloudSource(a); kind != "" {
		h["sourceInfo"], h["cloudProvider"] = list(kind, source), provider
	}
	return h.known()
}

func sections(a map[string]any, h object) {
	for name, s := range map[string]struct {
		from, kind string
		fields     map[string]string // of this API → of the other one
	}{
		"tags":     {"tagList.tag", "TagSimple", map[string]string{"id": "tagId", "name": "tagName"}},
		"openPort": {"openPortListData.openPort", "HostAssetOpenPort", map[string]string{"port": "port", "protocol": "protocol", "serviceName": "detectedService"}},
		"software": {"softwareListData.software", "HostAssetSoftware", map[string]string{"name": "fullName", "version": "version"}},
		"volume":   {"volumeListData.volume", "HostAssetVolume", map[string]string{"name": "name", "size": "size", "free": "free"}},
		"account":  {"userAccountListData.userAccount", "HostAssetAccount", map[string]string{"username": "name"}},
	} {
		elements, ok := at(a, strings.Split(s.from, ".")...).([]any)
		if !ok {
			continue
		}
		var out []object
		for _, e := range elements {
			out = append(out, pick(e, s.fields))
		}
		h[name] = list(s.kind, out...)
	}
	interfaces, ok := at(a, "networkInterfaceListData", "networkInterface").([]any)
	if !ok {
		return
	}
	var out []object
	for _, e := range interfaces { // this API has an entry for each address
		one := pick(e, map[string]string{"hostname": "hostname", "interfaceName": "interfaceName", "macAddress": "macAddress", "gatewayAddress": "gatewayAddress"})
		addresses := addressesOf(e)
		if len(addresses) == 0 {
			out = append(out, one)
		}
		for _, address := range addresses {
			entry := maps.Clone(one)
			entry["address"] = address
			out = append(out, entry)
		}
	}
	h["networkInterface"] = list("HostAssetInterface", out...)
}

func addressesOf(e any) []string {
	var out []string
	for _, member := range []string{"addressIpV4", "addressIpV6"} {
		text, _ := at(e, member).(string)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// cloudSource renders a cloud instance. The API has elements for three clouds.
func cloudSource(a map[string]any) (source object, kind, provider string) {
	if e := at(a, "cloudProvider", "aws", "ec2"); e != nil {
		out := pick(e, map[string]string{
			"instanceId": "instanceId", "instanceType": "instanceType", "instanceState": "instanceState", "accountId": "accountId", "subnetId": "subnetId",
			"vpcId": "vpcId", "imageId": "imageId", "availabilityZone": "availabilityZone", "privateDnsName": "privateDNS", "publicDnsName": "publicDNS",
			"privateIpAddress": "privateIpAddress", "publicIpAddress": "publicIpAddress",
		})
		out["type"], out["region"], out["zone"] = "EC_2", at(e, "region", "code"), "VPC"
		return out.known(), "Ec2AssetSourceSimple", "AWS"
	}
	if e := at(a, "cloudProvider", "azure", "vm"); e != nil {
		out := pick(e, map[string]string{
			"name": "name", "location": "location", "vmSize": "size", "vmId": "vmId", "offer": "imageOffer", "state": "state", "publisher": "imagePublisher",
			"version": "imageVersion", "subnet": "subnet", "subscriptionId": "subscriptionId", "resourceGroupName": "resourceGroupName", "macAddress": "macAddress",
			"privateIpAddress": "privateIpAddress", "publicIpAddress": "publicIpAddress",
		})
		out["type"] = "AZURE"
		return out, "AzureAssetSourceSimple", "AZURE"
	}
	if e := at(a, "cloudProvider", "gcp", "compute"); e != nil {
		out := pick(e, map[string]string{
			"instanceId": "instanceId", "hostname": "hostname", "machineType": "machineType", "imageId": "imageId", "zone": "zone", "projectIdNo": "projectNumber",
			"projectId": "projectId", "state": "state", "network": "network", "macAddress": "macAddress", "publicIpAddress": "publicIpAddress",
			"privateIpAddress": "privateIpAddress",
		})
		out["type"] = "GCP"
		return out, "GcpAssetSourceSimple", "GCP"
	}
	return nil, "", ""
}

// modelOf is product and model in one, as sensors read them from the firmware.
func modelOf(a map[string]any) any {
	var words []string
	for _, member := range []string{"productName", "model"} {
		if s, _ := at(a, "hardware", member).(string); s != "" && s != "Unidentified" {
			words = append(words, s)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return strings.Join(words, " ")
}

type object map[string]any

// known returns the object without what is null.
func (o object) known() object {
	maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	return o
}

// list is {"list":[{"Kind":{…}},…]}.
func list(kind string, elements ...object) object {
	out := make([]object, len(elements))
	for i, e := range elements {
		out[i] = object{kind: e}
	}
	return object{"list": out}
}

// pick copies members under other names.
func pick(from any, fields map[string]string) object {
	out := object{}
	for to, name := range fields {
		out[to] = at(from, name)
	}
	return out.known()
}

// at returns the value at a path of members, or nil.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// portal is a client of an Asset Management API that has one asset.
func portal(t *testing.T, raw []byte) qualys.Reader {
	t.Helper()
	client, err := qualys.NewAM(qualys.Config{
		Name: "corp", APIURL: "https://qualysapi.example", Username: "user", Password: "secret",
		Transport: vendor(func(*http.Request) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"hasMoreRecords":"false","data":[%s]}}`, raw)
		}),
	}, qualys.FormatJSON)
	require.NoError(t, err)
	return client
}
