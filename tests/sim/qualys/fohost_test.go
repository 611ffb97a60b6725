package qualys_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

type foHost struct {
	ID       string   `xml:"ID"`
	IP       string   `xml:"IP"`
	IPv6     string   `xml:"IPV6"`
	Risk     string   `xml:"TRURISK_SCORE"`
	Method   string   `xml:"TRACKING_METHOD"`
	Provider string   `xml:"CLOUD_PROVIDER"`
	Instance string   `xml:"EC2_INSTANCE_ID"`
	Tags     []string `xml:"TAGS>TAG>NAME"`
	TagIDs   []string `xml:"TAGS>TAG>TAG_ID"`
	EC2      []string `xml:"METADATA>EC2>ATTRIBUTE>VALUE"`
	Cloud    []string `xml:"CLOUD_PROVIDER_TAGS>CLOUD_TAG>NAME"`
	Scanned  string   `xml:"LAST_VM_SCANNED_DATE"`
	Auth     string   `xml:"LAST_VM_AUTH_SCANNED_DATE"`
	Owner    string   `xml:"OWNER"`
	Comment  string   `xml:"COMMENTS"`
	Value2   string   `xml:"USER_DEF>VALUE_2"`
}

// hosts lists hosts with further parameters.
func (c *client) hosts(t *testing.T, query string) []foHost {
	t.Helper()
	w := c.fo("/api/2.0/fo/asset/host/?action=list&truncation_limit=0&"+query, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var out struct {
		Hosts []foHost `xml:"RESPONSE>HOST_LIST>HOST"`
	}
	require.NoError(t, xml.Unmarshal(w.Body.Bytes(), &out))
	return out.Hosts
}

// Host list (§4.4): every filter leaves exactly the hosts that have what it names.
func TestEachFilterOfTheHostListLeavesTheHostsThatHaveIt(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Estate: estate.Options{Assets: 400}}).Handler()}
	all := c.hosts(t, "show_tags=1&show_trurisk=1")
	require.Greater(t, len(all), 50)
	middle := slices.SortedFunc(slices.Values(all), func(a, b foHost) int { return strings.Compare(a.Scanned, b.Scanned) })[len(all)/2].Scanned
	tag, id := all[0].Tags[0], all[0].TagIDs[0]
	has := func(tag string) func(foHost) bool { return func(h foHost) bool { return slices.Contains(h.Tags, tag) } }
	other := all[0].Tags[1]
	risk := func(h foHost) int { n, _ := strconv.Atoi(h.Risk); return n }
	for query, keep := range map[string]func(foHost) bool{
		"vm_scan_since=" + middle:             func(h foHost) bool { return h.Scanned >= middle },
		"no_vm_scan_since=" + middle:          func(h foHost) bool { return h.Scanned < middle },
		"vm_scan_date_after=" + middle:        func(h foHost) bool { return h.Scanned >= middle },
		"vm_scan_date_before=" + middle:       func(h foHost) bool { return h.Scanned < middle },
		"vm_processed_after=" + middle:        func(h foHost) bool { return h.Scanned >= middle },
		"vm_processed_before=" + middle[:10]:  func(h foHost) bool { return h.Scanned < middle[:10] },
		"vm_auth_scan_date_after=" + middle:   func(h foHost) bool { return h.Auth >= middle },
		"vm_auth_scan_date_before=" + middle:  func(h foHost) bool { return h.Auth != "" && h.Auth < middle },
		"compliance_scan_since=2000-01-01":    func(foHost) bool { return false },
		"no_compliance_scan_since=2000-01-01": func(foHost) bool { return true },
		"scap_scan_since=2000-01-01":          func(foHost) bool { return false },
		"compliance_enabled=1":                func(h foHost) bool { return h.Method == "AGENT" },
		"compliance_enabled=0":                func(h foHost) bool { return h.Method != "AGENT" },
		"trurisk_min=500":                     func(h foHost) bool { return risk(h) >= 500 },
		"ars_min=200&ars_max=300":             func(h foHost) bool { return risk(h) >= 200 && risk(h) <= 300 },
		"network_ids=0":                       func(foHost) bool { return true },
		"network_ids=7":                       func(foHost) bool { return false },
		"ipv6=2001:db8::1":                    func(foHost) bool { return false },
		"ids=" + all[3].ID + "-" + all[5].ID:  func(h foHost) bool { return h.ID >= all[3].ID && h.ID <= all[5].ID },
		"ips=" + all[3].IP:                    func(h foHost) bool { return h.IP == all[3].IP },
		"use_tags=1&tag_set_by=name&tag_set_include=" + url.QueryEscape(tag):                                    has(tag),
		"use_tags=1&tag_set_include=" + id:                                                                      has(tag),
		"use_tags=1&tag_set_by=name&tag_include_selector=all&tag_set_include=" + url.QueryEscape(tag+","+other): func(h foHost) bool { return has(tag)(h) && has(other)(h) },
		"use_tags=1&tag_set_by=name&tag_set_include=" + url.QueryEscape(tag) + "&tag_set_exclude=" + url.QueryEscape(other): func(h foHost) bool {
			return has(tag)(h) && !has(other)(h)
		},
	} {
		var want, got []string
		for _, h := range all {
			if keep(h) {
				want = append(want, h.ID)
			}
		}
		for _, h := range c.hosts(t, query) {
			got = append(got, h.ID)
		}
		require.Equal(t, want, got, query)
	}
}

// Host list (§4.4): what is asked for is shown, and only then.
func TestTheHostListShowsCloudMetadataTagsAndScoresWhenAsked(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Estate: estate.Options{Assets: 2000}}).Handler()}
	plain := c.hosts(t, "")
	aws := slices.IndexFunc(plain, func(h foHost) bool { return h.Instance != "" })
	require.GreaterOrEqual(t, aws, 0)
	require.Equal(t, "AWS", plain[aws].Provider)
	require.Empty(t, plain[aws].EC2)
	require.Empty(t, plain[aws].Cloud)
	require.Empty(t, plain[aws].Risk)
	require.Empty(t, plain[aws].Tags)
	full := c.hosts(t, "host_metadata=ec2&show_cloud_tags=1&cloud_tag_fields=env,owner&show_ars=1&show_tags=1")
	require.GreaterOrEqual(t, len(full[aws].EC2), 3)
	require.Equal(t, []string{"env", "owner"}, full[aws].Cloud)
	require.NotEmpty(t, full[aws].Risk)
	require.NotEmpty(t, full[aws].Tags)
	one := c.hosts(t, "host_metadata=all&host_metadata_fields=latest/dynamic/instance-identity/document/region")
	require.Len(t, one[aws].EC2, 1)
}

// Error codes (§4.6): a value that is none is 1905, and what belongs together is asked for together.
func TestTheHostListRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{}).Handler()}
	const host = foBase + "asset/host/"
	for query, code := range map[string]string{
		"vm_scan_since=yesterday": "1905", "trurisk_min=-1": "1905", "ars_max=many": "1905", "network_ids=all": "1905", "ipv6=10.0.0.1": "1905", "host_metadata=oci": "1905",
		"use_tags=1": "1903", "tag_set_include=1": "1903", "use_tags=1&tag_set_include=1&tag_set_by=colour": "1905",
		"use_tags=1&tag_set_include=1&tag_include_selector=some": "1905", "show_trurisk=yes": "1905", "nonsense=1": "1901",
	} {
		w := c.fo(host+"?action=list&"+query, "")
		require.Equal(t, http.StatusBadRequest, w.Code, query)
		require.Contains(t, w.Body.String(), "<CODE>"+code+"</CODE>", query)
	}
	for body, code := range map[string]string{
		"action=update&new_comment=a": "1922", "action=update&ids=1&new_comment=a": "1905", "action=purge": "1922", "action=update&ips=10.0.1.0-10.0.1.200": "1922",
	} {
		w := c.fo(host, body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		require.Contains(t, w.Body.String(), "<CODE>"+code+"</CODE>", body)
	}
	require.Contains(t, c.fo(host+"?action=purge&ids=1", "").Body.String(), "<CODE>1908</CODE>")
}

// Host update (§4.4): bare names select, new_ names set; asset/ip keeps the same values.
func TestHostsAreUpdatedAndKeepIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *client { return &client{h: mustServer(t, qualys.Options{StateDir: dir}).Handler()} }
	c := open()
	all := c.hosts(t, "")
	w := c.fo(foBase+"asset/host/", "action=update&ids="+all[2].ID+"&new_owner=ann&new_comment=kept&new_ud2=two")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Contains(t, w.Body.String(), "<TEXT>Assets successfully updated</TEXT>")
	require.Equal(t, http.StatusOK, c.fo(foBase+"asset/host/", "action=update&ips="+all[2].IP+"&new_comment=new").Code)
	for _, c := range []*client{c, open()} {
		h := c.hosts(t, "ids="+all[2].ID)[0]
		require.Equal(t, []string{"ann", "new", "two"}, []string{h.Owner, h.Comment, h.Value2})
		require.Empty(t, c.hosts(t, "ids="+all[5].ID)[0].Comment)
	}
}

// Host purge (§4.4): BATCH_RETURN; the hosts leave the list, their addresses stay in the subscription.
func TestPurgedHostsLeaveTheListAndTheirAddressesStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &client{h: mustServer(t, qualys.Options{StateDir: dir}).Handler()}
	all := c.hosts(t, "")
	w := c.fo(foBase+"asset/host/", "action=purge&ids="+all[2].ID)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "<!DOCTYPE BATCH_RETURN")
	require.Contains(t, w.Body.String(), "<ID>"+all[2].ID+"</ID>")
	require.Empty(t, c.hosts(t, "ids="+all[2].ID))
	require.Len(t, c.hosts(t, ""), len(all)-1)
	require.Contains(t, c.fo(foBase+"asset/ip/?action=list&ips="+all[2].IP, "").Body.String(), "IP_SET")
	again := &client{h: mustServer(t, qualys.Options{StateDir: dir}).Handler()}
	require.Empty(t, again.hosts(t, "ids="+all[2].ID), "also after a restart")
}
