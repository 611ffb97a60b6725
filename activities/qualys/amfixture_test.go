package qualys_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
)

// portal answers the calls of a test without a network.
type portal func(r *http.Request, body string) (int, string)

func (p portal) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	code, answer := p(r, body)
	return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {"7"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func am(t require.TestingT, f qualys.Format, transport http.RoundTripper, opts ...func(*qualys.Config)) *qualys.AMClient {
	cfg := qualys.Config{Name: "corp", APIURL: "https://portal.example/", Username: user, Password: password, Transport: transport}
	for _, o := range opts {
		o(&cfg)
	}
	c, err := qualys.NewAM(cfg, f)
	require.NoError(t, err)
	return c
}

func says(answer string) portal {
	return func(*http.Request, string) (int, string) { return http.StatusOK, answer }
}

// The two forms of an answer with assets; each asset is the inside of HostAsset.
func amJSON(more string, last int, assets ...string) string {
	list := make([]string, len(assets))
	for i, a := range assets {
		list[i] = `{"HostAsset":` + a + `}`
	}
	lastID := ""
	if last > 0 {
		lastID = fmt.Sprintf(`"lastId":%d,`, last)
	}
	return fmt.Sprintf(`{"ServiceResponse":{"responseCode":"SUCCESS","count":%d,"hasMoreRecords":"%s",%s"data":[%s]}}`, len(assets), more, lastID, strings.Join(list, ","))
}

func amXML(more string, last int, assets ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<ServiceResponse xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://qualysapi.qg3.apps.qualys.com/qps/xsd/2.0/am/hostasset.xsd">
  <responseCode>SUCCESS</responseCode>
`)
	fmt.Fprintf(&b, "  <count>%d</count>\n  <hasMoreRecords>%s</hasMoreRecords>\n", len(assets), more)
	if last > 0 {
		fmt.Fprintf(&b, "  <lastId>%d</lastId>\n", last)
	}
	b.WriteString("  <data>\n")
	for _, a := range assets {
		b.WriteString("    <HostAsset>" + a + "</HostAsset>\n")
	}
	b.WriteString("  </data>\n</ServiceResponse>\n<!-- end -->\n")
	return b.String()
}

const amSampleJSON = `{
 "id":84047001,"name":"i-0aa11bb22cc33dd44","created":"2026-01-05T00:50:27Z","modified":"2026-02-05T00:51:39Z","type":"HOST",
 "tags":{"list":[{"TagSimple":{"id":8832525,"name":"Cloud Agent"}}]},
 "sourceInfo":{"list":[{"AssetSource":{}},{"Ec2AssetSourceSimple":{"assetId":84047001,"type":"EC_2","firstDiscovered":"2026-01-05T00:50:28Z","lastUpdated":"2026-02-05T00:50:28Z",
   "ec2InstanceTags":{"tags":{"list":[{"EC2Tags":{"key":"Name","value":"web-1"}}]}},
   "availabilityZone":"us-east-1f","privateDnsName":"ip-10-1-2-3.ec2.internal","publicDnsName":"ec2-198-51-100-7.compute-1.amazonaws.com",
   "instanceId":"i-0aa11bb22cc33dd44","instanceType":"t3.medium","createdDate":"2026-01-05T00:40:00Z","instanceState":"RUNNING",
   "spotInstance":"false","accountId":"111122223333","subnetId":"subnet-98d30001","vpcId":"vpc-42850001","region":"us-east-1","zone":"VPC","imageId":"ami-0947d2ba12ee10001",
   "publicIpAddress":"198.51.100.7","privateIpAddress":"10.1.2.3","monitoringEnabled":"false"}}]},
 "qwebHostId":107800001,"fqdn":"ec2-198-51-100-7.compute-1.amazonaws.com","os":"Amazon Linux 2","dnsHostName":"ip-10-1-2-3.ec2.internal",
 "agentInfo":{"agentVersion":"6.1.0.28","agentId":"2e689bb2-53ab-4a58-be0a-a7576964f001","status":"STATUS_ACTIVE","agentConfiguration":{"id":8099,"name":"Default Profile"}},
 "address":"10.1.2.3","trackingMethod":"INSTANCE_ID","manufacturer":"Xen","model":"HVM domU","totalMemory":3949,"timezone":"+00:00",
 "cloudProvider":"AWS","criticalityScore":2,
 "openPort":{"list":[{"HostAssetOpenPort":{"port":22,"protocol":"TCP","serviceName":"ssh"}}]},
 "software":{"list":[{"HostAssetSoftware":{"name":"openssl-libs","version":"1:1.0.2k-24.amzn2"}},{"HostAssetSoftware":{"name":"7-Zip","version":19.10}}]},
 "processor":{"list":[{"HostAssetProcessor":{"name":"Intel(R) Xeon(R) Platinum 8259CL","speed":2500}}]},
 "volume":{"list":[{"HostAssetVolume":{"name":"/","size":21463281664,"free":15032385536}}]},
 "account":{"list":[{"HostAssetAccount":{"username":"ec2-user"}}]},
 "networkInterface":{"list":[{"HostAssetInterface":{"hostname":"ip-10-1-2-3.ec2.internal","interfaceId":"eni-02eb1ae00744d0001","interfaceName":"eth0","macAddress":"0e:11:22:33:44:55","type":"PRIVATE","address":"10.1.2.3","gatewayAddress":"10.1.2.1"}},
   {"HostAssetInterface":{"interfaceName":"eth0","macAddress":"0E:11:22:33:44:55","type":"PRIVATE","address":"fe80::c11:22ff:fe33:4455"}}]},
 "isDockerHost":"false","vuln":{"list":[{"HostAssetVuln":{"qid":45038}}]}
}`

const amSampleXML = `
  <id>84047001</id><name>i-0aa11bb22cc33dd44</name><created>2026-01-05T00:50:27Z</created><modified>2026-02-05T00:51:39Z</modified><type>HOST</type>
  <tags><list><TagSimple><id>8832525</id><name>Cloud Agent</name></TagSimple></list></tags>
  <sourceInfo><list><AssetSource/><Ec2AssetSourceSimple><assetId>84047001</assetId><type>EC_2</type><lastUpdated>2026-02-05T00:50:28Z</lastUpdated>
    <ec2InstanceTags><tags><list><EC2Tags><key>Name</key><value>web-1</value></EC2Tags></list></tags></ec2InstanceTags>
    <availabilityZone>us-east-1f</availabilityZone><privateDnsName>ip-10-1-2-3.ec2.internal</privateDnsName><publicDnsName>ec2-198-51-100-7.compute-1.amazonaws.com</publicDnsName>
    <instanceId>i-0aa11bb22cc33dd44</instanceId><instanceType>t3.medium</instanceType><createdDate>2026-01-05T00:40:00Z</createdDate><instanceState>RUNNING</instanceState>
    <spotInstance>false</spotInstance><accountId>111122223333</accountId><subnetId>subnet-98d30001</subnetId><vpcId>vpc-42850001</vpcId><region>us-east-1</region><zone>VPC</zone><imageId>ami-0947d2ba12ee10001</imageId>
    <publicIpAddress>198.51.100.7</publicIpAddress><privateIpAddress>10.1.2.3</privateIpAddress></Ec2AssetSourceSimple></list></sourceInfo>
  <qwebHostId>107800001</qwebHostId><fqdn>ec2-198-51-100-7.compute-1.amazonaws.com</fqdn><os>Amazon Linux 2</os><dnsHostName>ip-10-1-2-3.ec2.internal</dnsHostName>
  <agentInfo><agentVersion>6.1.0.28</agentVersion><agentId>2e689bb2-53ab-4a58-be0a-a7576964f001</agentId></agentInfo>
  <address>10.1.2.3</address><trackingMethod>INSTANCE_ID</trackingMethod><manufacturer>Xen</manufacturer><model>HVM domU</model><totalMemory>3949</totalMemory><timezone>+00:00</timezone>
  <cloudProvider>AWS</cloudProvider><criticalityScore>2</criticalityScore>
  <openPort><list><HostAssetOpenPort><port>22</port><protocol>TCP</protocol><serviceName>ssh</serviceName></HostAssetOpenPort></list></openPort>
  <software><list><HostAssetSoftware><name>openssl-libs</name><version>1:1.0.2k-24.amzn2</version></HostAssetSoftware>
    <HostAssetSoftware><name>7-Zip</name><version>19.10</version></HostAssetSoftware></list></software>
  <processor><list><HostAssetProcessor><name>Intel(R) Xeon(R) Platinum 8259CL</name><speed>2500</speed></HostAssetProcessor></list></processor>
  <volume><list><HostAssetVolume><name>/</name><size>21463281664</size><free>15032385536</free></HostAssetVolume></list></volume>
  <account><list><HostAssetAccount><username>ec2-user</username></HostAssetAccount></list></account>
  <networkInterface><list><HostAssetInterface><hostname>ip-10-1-2-3.ec2.internal</hostname><interfaceName>eth0</interfaceName><macAddress>0e:11:22:33:44:55</macAddress><type>PRIVATE</type><address>10.1.2.3</address><gatewayAddress>10.1.2.1</gatewayAddress></HostAssetInterface>
    <HostAssetInterface><interfaceName>eth0</interfaceName><macAddress>0E:11:22:33:44:55</macAddress><address>fe80::c11:22ff:fe33:4455</address></HostAssetInterface></list></networkInterface>
  <isDockerHost>false</isDockerHost>`

func amSample() *asset.Asset {
	at := func(s string) time.Time {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		return t
	}
	return &asset.Asset{
		ID: 84047001, HostID: 107800001, AgentID: "2e689bb2-53ab-4a58-be0a-a7576964f001", Name: "i-0aa11bb22cc33dd44", DNSName: "ip-10-1-2-3.ec2.internal",
		FQDN: "ec2-198-51-100-7.compute-1.amazonaws.com", Address: "10.1.2.3", Type: "HOST", TimeZone: "+00:00",
		Modified: at("2026-02-05T00:51:39Z"), Created: at("2026-01-05T00:50:27Z"), TotalMemoryMB: 3949, TrackingMethod: "INSTANCE_ID", CriticalityScore: 2,
		OS: asset.OperatingSystem{Name: "Amazon Linux 2"}, Hardware: asset.Hardware{Manufacturer: "Xen", Model: "HVM domU"},
		Processor: asset.Processor{Description: "Intel(R) Xeon(R) Platinum 8259CL", SpeedMHz: 2500},
		Cloud: asset.Cloud{
			Provider: asset.CloudAWS, InstanceID: "i-0aa11bb22cc33dd44", AccountID: "111122223333", Region: "us-east-1", Zone: "us-east-1f", State: "RUNNING",
			InstanceType: "t3.medium", ImageID: "ami-0947d2ba12ee10001", NetworkID: "vpc-42850001", SubnetID: "subnet-98d30001", PrivateIP: "10.1.2.3",
			PublicIP: "198.51.100.7", PrivateDNS: "ip-10-1-2-3.ec2.internal", PublicDNS: "ec2-198-51-100-7.compute-1.amazonaws.com",
			LaunchDate: at("2026-01-05T00:40:00Z"), Tags: []asset.CloudTag{{Key: "Name", Value: "web-1"}},
		},
		Interfaces: []asset.Interface{{Name: "eth0", HostName: "ip-10-1-2-3.ec2.internal", MAC: "0e:11:22:33:44:55", IPv4: []string{"10.1.2.3"}, IPv6: []string{"fe80::c11:22ff:fe33:4455"}, Gateway: "10.1.2.1"}},
		Software:   []asset.Software{{DiscoveredName: "openssl-libs", Version: "1:1.0.2k-24.amzn2"}, {DiscoveredName: "7-Zip", Version: "19.10"}},
		OpenPorts:  []asset.OpenPort{{Port: 22, Protocol: "TCP", Service: "ssh"}},
		Volumes:    []asset.Volume{{Name: "/", Size: 21463281664, Free: 15032385536}},
		Accounts:   []string{"ec2-user"}, Tags: []asset.Tag{{ID: 8832525, Name: "Cloud Agent"}},
		Present: []asset.Section{"operatingSystem", "hardware", "processor", "tags", "openPorts", "software", "userAccounts", "volumes", "networkInterfaces", "cloud"},
	}
}

func failureXML(code, message string) string {
	return `<ServiceResponse><responseCode>` + code + `</responseCode><responseErrorDetails><errorMessage>` + message + `</errorMessage><errorResolution>Do better.</errorResolution></responseErrorDetails></ServiceResponse>`
}

func failureJSON(code, message string) string {
	return `{"ServiceResponse":{"responseCode":"` + code + `","responseErrorDetails":{"errorMessage":"` + message + `","errorResolution":"Do better."}}}`
}
