package qualys

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
)

// CSAM API v2, connector data sync: assets of third parties are published, identified by ordered rules and merged into
// the asset that they are, or become unmanaged assets. Processing takes some seconds; the answer only says that the
// records were taken.
const (
	pathConnector     = "/rest/2.0/am/connector/asset/data/sync"
	endpointConnector = "connector.sync"
)

// firstThird is the id of the first unmanaged asset, beyond those of any estate.
const firstThird = 9_000_000_000

func (s *Server) mountConnector(mux *http.ServeMux) {
	mux.HandleFunc(pathConnector, s.verbs(s.guarded(s.integrated(s.sync)), http.MethodPost))
}

type connectorMeta struct {
	RequestID string `json:"requestId"`
	Count     *int   `json:"assetCount"`
	Source    string `json:"source"`
	Connector string `json:"connectorUuid"`
}

// connectorRecord is one asset of a call.
type connectorRecord struct {
	Identity *connectorIdentity         `json:"identityAttributes"`
	Core     map[string]json.RawMessage `json:"coreAttributes"`
}

// connectorIdentity is what a record may be identified by.
type connectorIdentity struct {
	QualysAssetID json.RawMessage `json:"qualysAssetId"`
	NativeKey     string          `json:"sourceNativeKey"`
	InstanceUUID  string          `json:"instanceUuid"`
	HostName      string          `json:"hostName"`
	NetBIOS       string          `json:"netBiosName"`
	FQDN          string          `json:"fqdn"`
	MACs          []string        `json:"macAddress"`
	IPs           []string        `json:"ipAddress"`
	Serial        string          `json:"serialNumber"`
	HardwareUUID  string          `json:"hardwareUuid"`
}

// keys are what the rules compare, in their order. The list of default rules is not published: this is the order that
// the guide's text suggests. The native key holds for one connector.
func (i *connectorIdentity) keys(connector string) []string {
	var out []string
	add := func(rule string, values ...string) {
		for _, v := range values {
			if v == "" {
				return // a rule matches with all its fields only
			}
		}
		out = append(out, strings.ToLower(rule+"\x00"+strings.Join(values, "\x00")))
	}
	add("native", connector, i.NativeKey)
	add("serial", i.Serial)
	add("uuid", i.HardwareUUID)
	add("instance", i.InstanceUUID)
	for _, mac := range i.MACs {
		add("mac", bareMAC.Replace(mac), i.HostName) // sources write one address in several forms
	}
	add("fqdn", i.FQDN)
	add("netbios", i.NetBIOS)
	for _, ip := range i.IPs {
		add("host", i.HostName, ip)
	}
	return out
}

// bareMAC leaves the digits of a MAC address.
var bareMAC = strings.NewReplacer(":", "", "-", "", ".", "")

// third is a record that was taken, as the state keeps it.
type third struct {
	Asset     int64           `json:"asset"` // that it was merged into or became
	Connector string          `json:"connector"`
	Source    string          `json:"source"`
	Created   int64           `json:"created"`
	First     int64           `json:"first,omitempty"` // when the source sent the record first
	Ready     int64           `json:"ready"`           // epoch milliseconds: shown from then on
	Record    connectorRecord `json:"record"`
}

// connectorStore is what third parties published.
type connectorStore struct {
	mu    sync.RWMutex
	by    map[int64][]*third // by asset, oldest first
	keys  map[string]int64   // of unmanaged assets, and native keys of all
	known map[string]int64   // keys of the estate's assets; nil until somebody asks
	at    int                // generation of the estate that known is of
	next  int64
}

func newConnectorStore() *connectorStore {
	c := &connectorStore{}
	c.reset()
	return c
}

func (c *connectorStore) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by, c.keys, c.known, c.next = map[int64][]*third{}, map[string]int64{}, nil, firstThird
}

func (c *connectorStore) replay(t *third) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(t)
}

func (c *connectorStore) put(t *third) {
	t.First = t.Created
	same := func(o *third) bool {
		return o.Connector == t.Connector && o.Record.Identity.NativeKey == t.Record.Identity.NativeKey
	}
	// What is shown now stays until the new record has been processed.
	shown := -1
	for i, o := range c.by[t.Asset] {
		if same(o) {
			if t.First = min(t.First, o.First); o.Ready <= t.Created {
				shown = i
			}
		}
	}
	list := make([]*third, 0, len(c.by[t.Asset])+1)
	for i, o := range c.by[t.Asset] {
		if !same(o) || i >= shown {
			list = append(list, o)
		}
	}
	c.by[t.Asset] = append(list, t)
	for _, key := range t.Record.Identity.keys(t.Connector) {
		if t.Asset >= firstThird || strings.HasPrefix(key, nativeRule) {
			c.keys[key] = t.Asset
		}
	}
	c.next = max(c.next, t.Asset+1)
}

// nativeRule begins the keys of the rule that always comes first.
const nativeRule = "native\x00"

// identify returns the asset that a record is, or a new id.
func (c *connectorStore) identify(e *estate.Estate, t *third) (int64, error) {
	i := t.Record.Identity
	lives := func(id int64) bool {
		if index, known := e.IndexOf(id); known {
			_, known = e.Reader().Asset(index)
			return known
		}
		return len(c.by[id]) > 0
	}
	keys := i.keys(t.Connector)
	if len(keys) > 0 && strings.HasPrefix(keys[0], nativeRule) {
		if id, found := c.keys[keys[0]]; found && lives(id) {
			return id, nil
		}
	}
	if id := strings.Trim(string(i.QualysAssetID), `"`); id != "" && id != "null" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || !lives(n) {
			return 0, errors.New("Asset not found") //nolint:staticcheck // the vendor's text
		}
		return n, nil
	}
	if g := e.Generation(); c.known == nil || c.at != g {
		c.known, c.at = knownKeys(e), g
	}
	if len(keys) == 0 {
		return 0, errors.New("No identity attribute is present") //nolint:staticcheck // the vendor's text
	}
	for _, key := range keys {
		if id, found := c.keys[key]; found && lives(id) {
			return id, nil
		}
		if id, found := c.known[key]; found {
			return id, nil
		}
	}
	return c.next, nil
}

// knownKeys are the keys of the estate's assets. A key of several assets is the first one's.
func knownKeys(e *estate.Estate) map[string]int64 {
	out := map[string]int64{}
	reader := e.Reader()
	for index := range e.Size() {
		a, ok := reader.Asset(index)
		if !ok {
			continue
		}
		i := connectorIdentity{HostName: a.Host, NetBIOS: a.NetBIOS, FQDN: a.DNSName, Serial: a.Serial, HardwareUUID: a.HardwareUUID, IPs: []string{a.Address.String()}}
		if a.Cloud != nil {
			i.InstanceUUID = a.Cloud.Instance
		}
		for _, n := range a.NICs {
			i.MACs = append(i.MACs, n.MAC)
		}
		for _, key := range i.keys("") {
			if _, taken := out[key]; !taken {
				out[key] = a.ID
			}
		}
	}
	return out
}

// show merges what third parties published about an asset into it: of each record the last that was processed.
func (c *connectorStore) show(a *estate.Asset, now int64, l laid) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := c.by[a.ID]
	for i, t := range list {
		if t.Ready > now {
			continue
		}
		later := slices.ContainsFunc(list[i+1:], func(o *third) bool {
			return o.Ready <= now && o.Connector == t.Connector && o.Record.Identity.NativeKey == t.Record.Identity.NativeKey
		})
		if !later {
			t.merge(a, l)
		}
	}
}

// since returns the assets that somebody published something about that was shown at or after an instant.
func (c *connectorStore) since(ms, now int64) (ids []int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id, list := range c.by {
		if slices.ContainsFunc(list, func(t *third) bool { return t.Ready >= ms && t.Ready <= now }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// unmanaged returns the ids of unmanaged assets that are shown now, ascending.
func (c *connectorStore) unmanaged(now int64) (ids []int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(c.by)) {
		if id >= firstThird && c.by[id][0].Ready <= now {
			ids = append(ids, id)
		}
	}
	return ids
}

// unmanaged builds an unmanaged asset, or nil.
func (s *Server) unmanaged(id int64) *estate.Asset {
	if id < firstThird || !s.connector.has(id, s.opts.Now().UnixMilli()) {
		return nil
	}
	a := s.estate.Unmanaged(id)
	a.UUID = fmt.Sprintf("00000000-0000-4000-8000-%012d", id)
	s.written(a)
	s.tags.show(a)
	return a
}

// has reports whether an unmanaged asset is shown.
func (c *connectorStore) has(id, now int64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.by[id]) > 0 && c.by[id][0].Ready <= now
}

// inventorySources are the names that the inventory shows for what connectors call their source.
var inventorySources = map[string]string{"SNOW": "SERVICENOW"}

// merge lays a record over an asset. An asset of the subscription keeps what its own sensors say: business metadata,
// applications, custom attributes and the date come from third parties; an unmanaged one takes everything.
func (t *third) merge(a *estate.Asset, l laid) {
	a.Modified = max(a.Modified, t.Ready)
	source := orDefault(inventorySources[t.Source], t.Source)
	a.Published = append(a.Published, estate.Published{Connector: t.Connector, Source: source, First: t.First, Last: t.Ready})
	core := t.Record.Core
	for from, to := range map[string]string{"businessMetaData": memberBusiness, "assignedLocation": memberLocation} {
		if raw := core[from]; len(raw) > 2 && raw[0] == '{' {
			l.put(a, to, t.Ready, raw)
		}
	}
	if raw := t.applications(); raw != nil {
		l.put(a, memberApps, t.Ready, raw)
	}
	if raw := t.custom(); raw != nil {
		l.put(a, "customAttributes", t.Ready, raw)
	}
	if !a.Third {
		return
	}
	i := t.Record.Identity
	a.SensorUpdated, a.Source = t.Ready, source
	if a.Created == 0 || t.First < a.Created {
		a.Created = t.First
	}
	a.Name, a.Host, a.DNSName, a.NetBIOS, a.Serial, a.HardwareUUID = orDefault(i.HostName, i.FQDN), i.HostName, i.FQDN, i.NetBIOS, i.Serial, i.HardwareUUID
	if len(i.IPs) > 0 {
		if ip, err := netip.ParseAddr(i.IPs[0]); err == nil {
			a.Address = ip
		}
	}
	if name := textOf(core["operatingSystem"]); name != "" {
		a.OS = &estate.OS{Raw: name, Full: name, Version: textOf(core["osVersion"]), Architecture: textOf(core["osArchitecture"]),
			Category1: "Unidentified", Category2: "Unidentified", Product: "Unidentified", Publisher: "Unidentified"}
		a.Written["operatingSystem"], _ = json.Marshal(map[string]any{ //nolint:errcheck // strings
			"osName": name, "fullName": name, "version": a.OS.Version, "architecture": a.OS.Architecture,
			"category": "Unidentified / Unidentified", "category1": "Unidentified", "category2": "Unidentified", "productName": "Unidentified", "publisher": "Unidentified",
		})
	}
	t.interfaces(a)
}

// interfaces shows the network interfaces of a record.
func (t *third) interfaces(a *estate.Asset) {
	var list []struct {
		Name    string `json:"interfaceName"`
		MAC     string `json:"macAddress"`
		Address string `json:"address"`
		V4      string `json:"ipv4Address"`
		V6      string `json:"ipv6Address"`
		Gateway string `json:"gatewayAddress"`
		DNS     string `json:"dnsAddress"`
		Host    string `json:"hostName"`
	}
	if json.Unmarshal(t.Record.Core["networkInterfaces"], &list) != nil || len(list) == 0 {
		return
	}
	a.NICs = nil
	var out []map[string]any
	for _, n := range list {
		v4 := orDefault(n.V4, n.Address)
		nic := estate.NIC{Name: n.Name, MAC: n.MAC, V6: n.V6}
		if ip, err := netip.ParseAddr(v4); err == nil && ip.Is4() {
			nic.V4 = append(nic.V4, ip)
		}
		a.NICs = append(a.NICs, nic)
		out = append(out, map[string]any{"hostname": n.Host, "addressIpV4": v4, "addressIpV6": n.V6, "macAddress": n.MAC, "interfaceName": n.Name,
			"dnsAddress": n.DNS, "gatewayAddress": n.Gateway, "addresses": v4})
	}
	a.Written["networkInterfaceListData"], _ = json.Marshal(map[string]any{"networkInterface": out}) //nolint:errcheck // strings
}

// applications returns the business applications of a record as the inventory shows them, or nil.
func (t *third) applications() []byte {
	var in []map[string]any
	if json.Unmarshal(t.Record.Core["businessApps"], &in) != nil || len(in) == 0 {
		return nil
	}
	for _, app := range in {
		if id, ok := app["businessAppId"]; ok {
			app["id"] = id
			delete(app, "businessAppId")
		}
	}
	raw, _ := json.Marshal(map[string]any{"businessApp": in}) //nolint:errcheck // it was JSON
	return raw
}

// custom returns the custom attributes of a record as the inventory shows them, or nil.
func (t *third) custom() []byte {
	var in map[string]any
	if json.Unmarshal(t.Record.Core["customConnectorAttributes"], &in) != nil || len(in) == 0 {
		return nil
	}
	out := []map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(in)) {
		out = append(out, map[string]any{"key": key, "value": fmt.Sprint(in[key]), "connectorName": t.Source})
	}
	raw, _ := json.Marshal(out) //nolint:errcheck // strings
	return raw
}

func textOf(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // anything else is no text
	return s
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

var uuidShape = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// sync serves the call.
func (s *Server) sync(w http.ResponseWriter, r *http.Request) {
	meta, records, refused := readSync(w, r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	failed := map[string]string{}
	now := s.opts.Now()
	delay := time.Duration(s.connectorDelay.Load())
	for i, raw := range records {
		var record connectorRecord
		err := misread(json.Unmarshal(raw, &record))
		key := "assetData[" + strconv.Itoa(i) + "]"
		if id := record.Identity; id != nil && id.NativeKey != "" {
			key = id.NativeKey
		}
		if err == nil {
			err = s.publish(&third{Connector: meta.Connector, Source: meta.Source, Created: now.UnixMilli(), Ready: now.Add(delay).UnixMilli(), Record: record})
		}
		if err != nil {
			failed[key] = err.Error()
		}
	}
	s.recorder.AddItems(endpointConnector, len(records)-len(failed))
	status, code := http.StatusOK, "SUCCESSFULLY_PUBLISHED"
	message := "All assets are submitted for processing. They are displayed in the inventory after processing is completed successfully."
	if len(failed) > 0 {
		status, code = http.StatusMultiStatus, "PARTIALLY_PUBLISHED"
		message = fmt.Sprintf("%d of %d assets are submitted for processing.", len(records)-len(failed), len(records))
	}
	control.WriteJSON(w, status, struct {
		Message string            `json:"message"`
		Code    string            `json:"responseCode"`
		Errors  map[string]string `json:"assetsError"`
	}{message, code, failed})
}

func readSync(w http.ResponseWriter, r *http.Request) (meta connectorMeta, records []json.RawMessage, refused *failure) {
	raw, refused := readJSON(w, r)
	if refused != nil {
		return meta, nil, refused
	}
	var body struct {
		Meta *connectorMeta    `json:"connectorMetaData"`
		Data []json.RawMessage `json:"assetData"`
	}
	switch err := json.Unmarshal(raw, &body); {
	case err != nil:
		return meta, nil, bad("Request body could not be read")
	case body.Meta == nil || body.Meta.RequestID == "":
		return meta, nil, bad("connectorMetaData with a requestId is mandatory")
	case body.Meta.Source != "SNOW" && body.Meta.Source != "WEBHOOK":
		return meta, nil, bad("source must be SNOW or WEBHOOK")
	case !uuidShape.MatchString(body.Meta.Connector):
		return meta, nil, bad("connectorUuid must be the UUID of a connector")
	case len(body.Data) == 0 || len(body.Data) > csamBatch:
		return meta, nil, bad("assetData must have 1 to " + strconv.Itoa(csamBatch) + " entries")
	case body.Meta.Count == nil || *body.Meta.Count != len(body.Data):
		return meta, nil, bad("assetCount does not match assetData")
	}
	return *body.Meta, body.Data, nil
}

// interfaceTypes are the values of networkInterfaces[].type.
var interfaceTypes = []string{"", "LOCAL", "PRIVATE", "ELASTIC", "PUBLIC"}

// refuses says what is wrong with a record.
func (r *connectorRecord) refuses() error {
	if r.Identity == nil {
		return errors.New("identityAttributes are mandatory") //nolint:staticcheck // the vendor's text
	}
	for _, ip := range r.Identity.IPs {
		if _, err := netip.ParseAddr(ip); err != nil {
			return errors.New("Invalid value for identityAttributes.ipAddress") //nolint:staticcheck // the vendor's text
		}
	}
	for _, name := range []string{"sourceCreatedDate", "sourceLastUpdatedDate"} {
		if v := textOf(r.Core[name]); v != "" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				return fmt.Errorf("%s is not a date", name)
			}
		}
	}
	var list []struct {
		Type string `json:"type"`
	}
	if raw := r.Core["networkInterfaces"]; raw != nil {
		if err := misread(json.Unmarshal(raw, &list)); err != nil {
			return errors.New("Invalid value for coreAttributes.networkInterfaces") //nolint:staticcheck // the vendor's text
		}
	}
	for _, n := range list {
		if !slices.Contains(interfaceTypes, n.Type) {
			return errors.New("Invalid value for coreAttributes.networkInterfaces.type") //nolint:staticcheck // the vendor's text
		}
	}
	return nil
}

// publish takes one record.
func (s *Server) publish(t *third) error {
	if err := t.Record.refuses(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connector.mu.Lock()
	defer s.connector.mu.Unlock()
	var err error
	if t.Asset, err = s.connector.identify(s.estate, t); err != nil {
		return err
	}
	if err := s.record(journalLine{Third: t}); err != nil {
		return err
	}
	s.connector.put(t)
	return nil
}
