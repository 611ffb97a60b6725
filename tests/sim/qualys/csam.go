package qualys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
)

// CSAM API v2, business metadata: what a CMDB knows about assets and business applications is written into the
// inventory, applications first.
const (
	pathMetadata   = "/rest/2.0/update/am/asset/business/metadata"
	pathApps       = "/rest/2.0/update/am/businessapp/metadata"
	pathAppsUpsert = "/rest/2.0/upsert/am/businessapp/metadata" // the page's sample
)

const (
	endpointMetadata = "update.metadata"
	endpointApps     = "update.businessapp"
)

// csamBatch bounds a batch: the vendor's limit is not published, this is what clients are advised to keep to.
const csamBatch = 250

// csamMaximum bounds a body.
const csamMaximum = 4 << 20

// csamEndpoint names a request that writes business metadata, or "".
func csamEndpoint(path string) string {
	switch path {
	case pathMetadata:
		return endpointMetadata
	case pathApps, pathAppsUpsert:
		return endpointApps
	case pathConnector:
		return endpointConnector
	}
	return ""
}

func (s *Server) mountCSAM(mux *http.ServeMux) {
	mux.HandleFunc(pathMetadata, s.verbs(s.guarded(s.integrated(s.writeMetadata)), http.MethodPost))
	mux.HandleFunc(pathApps, s.verbs(s.guarded(s.integrated(s.writeApps)), http.MethodPost))
	mux.HandleFunc(pathAppsUpsert, s.verbs(s.guarded(s.integrated(s.writeApps)), http.MethodPost))
}

// integrated refuses calls while the integration with ServiceNow is switched off. Where the switch is, is not published.
func (s *Server) integrated(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.unintegrated.Load() {
			s.spring(w, r, http.StatusForbidden, "Access Denied")
			return
		}
		h(w, r)
	}
}

// csamStore is what was written.
type csamStore struct {
	mu     sync.RWMutex
	apps   map[string]map[string]any
	assets map[int64]*csamAsset
}

// csamAsset is what was written about an asset: whole members, and when.
type csamAsset struct {
	ID      int64                      `json:"id"`
	At      int64                      `json:"at"` // epoch milliseconds
	Members map[string]json.RawMessage `json:"members"`
}

// csamLine is a line of the state.
type csamLine struct {
	Asset *csamAsset     `json:"asset,omitempty"`
	App   map[string]any `json:"app,omitempty"`
}

func newCSAMStore() *csamStore {
	c := &csamStore{}
	c.reset()
	return c
}

func (c *csamStore) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apps, c.assets = map[string]map[string]any{}, map[int64]*csamAsset{}
}

func (c *csamStore) replay(line *csamLine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if line.Asset != nil {
		c.assets[line.Asset.ID] = line.Asset
	}
	if id, ok := line.App["id"].(string); ok {
		c.apps[id] = line.App
	}
}

// laid remembers when each member of an asset was written last, because the latest word counts, whoever said it.
type laid map[string]int64

func (l laid) put(a *estate.Asset, member string, at int64, raw []byte) {
	if at < l[member] {
		return
	}
	if a.Written == nil {
		a.Written = map[string][]byte{}
	}
	l[member], a.Written[member] = at, raw
}

// written gives an asset what was written and published about it.
func (s *Server) written(a *estate.Asset) {
	l := laid{}
	s.csam.show(a, l)
	s.connector.show(a, s.opts.Now().UnixMilli(), l)
}

// show gives an asset what was written about it.
func (c *csamStore) show(a *estate.Asset, l laid) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	w := c.assets[a.ID]
	if w == nil {
		return
	}
	a.Modified = max(a.Modified, w.At)
	for name, raw := range w.Members {
		if name == memberApps {
			raw = c.relinked(raw)
		}
		l.put(a, name, w.At, raw)
	}
}

// Members of an asset that are written.
const (
	memberBusiness = "businessInformation"
	memberLocation = "assignedLocation"
	memberApps     = "businessAppListData"
)

// relinked shows applications as they are now, not as they were when the asset was linked with them.
func (c *csamStore) relinked(raw []byte) []byte {
	var list struct {
		Apps []map[string]any `json:"businessApp"`
	}
	if json.Unmarshal(raw, &list) != nil || len(list.Apps) == 0 {
		return raw
	}
	for i, app := range list.Apps {
		if id, _ := app["id"].(string); c.apps[id] != nil {
			list.Apps[i] = c.apps[id]
		}
	}
	out, _ := json.Marshal(list) //nolint:errcheck // texts
	return out
}

// since returns the ids of assets that were written at or after an instant.
func (c *csamStore) since(ms int64) (ids []int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id, w := range c.assets {
		if w.At >= ms {
			ids = append(ids, id)
		}
	}
	return ids
}

// metadata is one asset of a call.
type metadata struct {
	ID       json.RawMessage            `json:"qualysAssetId"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

// The longest values, by member.
var metadataLimits = map[string]int{
	"operationalStatus": 128, "environment": 128, "company": 128, "department": 128,
	"ownedBy": 255, "managedBy": 255, "supportedBy": 255, "supportGroup": 255,
}

var locationLimits = map[string]int{"name": 255, "street": 255, "city": 128, "state": 128, "country": 128}

// readJSON reads a body of JSON.
func readJSON(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, &failure{http.StatusUnsupportedMediaType, "Content-Type '" + r.Header.Get("Content-Type") + "' is not supported"}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, csamMaximum))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &failure{http.StatusRequestEntityTooLarge, "Request body is too large"}
	}
	if err != nil {
		return nil, bad("Request body could not be read")
	}
	return raw, nil
}

// readBatch reads the data of a call. What is wrong with it as a whole is 400 or 415; a record is looked at later.
func readBatch(w http.ResponseWriter, r *http.Request) ([]json.RawMessage, *failure) {
	raw, refused := readJSON(w, r)
	if refused != nil {
		return nil, refused
	}
	var body struct {
		Data []json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return nil, bad("Request body could not be read")
	}
	if len(body.Data) == 0 || len(body.Data) > csamBatch {
		return nil, bad("data must have 1 to " + strconv.Itoa(csamBatch) + " entries")
	}
	return body.Data, nil
}

// answerBatch answers a batch: 200 when all was taken, 207 with the errors by record otherwise. The body is not
// published for these calls; this is the one of the connector sync.
func answerBatch(w http.ResponseWriter, total int, failed map[string]string) {
	status, code, message := http.StatusOK, "SUCCESS", "All records are updated successfully."
	if len(failed) > 0 {
		status, code, message = http.StatusMultiStatus, "PARTIAL_SUCCESS", fmt.Sprintf("%d of %d records are not updated.", len(failed), total)
	}
	control.WriteJSON(w, status, struct {
		Message string            `json:"message"`
		Code    string            `json:"responseCode"`
		Errors  map[string]string `json:"assetsError"`
	}{message, code, failed})
}

func (s *Server) writeMetadata(w http.ResponseWriter, r *http.Request) {
	data, refused := readBatch(w, r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	failed := map[string]string{}
	for i, raw := range data {
		var m metadata
		malformed := misread(json.Unmarshal(raw, &m))
		name := strings.Trim(string(m.ID), `"`)
		if name == "" || name == "null" {
			failed["data["+strconv.Itoa(i)+"]"] = "qualysAssetId is mandatory"
			continue
		}
		if malformed != nil {
			failed[name] = malformed.Error()
			continue
		}
		asset, err := s.applied(name, m.Metadata)
		if err == nil {
			s.mu.Lock()
			if err = s.record(journalLine{CSAM: &csamLine{Asset: asset}}); err == nil {
				s.csam.replay(&csamLine{Asset: asset})
			}
			s.mu.Unlock()
		}
		if err != nil {
			failed[name] = err.Error()
		}
	}
	s.recorder.AddItems(endpointMetadata, len(data)-len(failed))
	answerBatch(w, len(data), failed)
}

// misread says which member of a record has a value of the wrong type.
func misread(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("Invalid value for %s", wrong.Field) //nolint:staticcheck // the vendor's text
	}
	return errors.New("the record must be an object")
}

// applied lays new metadata over what an asset has; members that are not named stay.
func (s *Server) applied(name string, in map[string]json.RawMessage) (*csamAsset, error) {
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return nil, errors.New("Asset not found") //nolint:staticcheck // the vendor's text
	}
	a := s.asset(id)
	if a == nil {
		return nil, errors.New("Asset not found") //nolint:staticcheck // the vendor's text
	}
	var has struct {
		Business map[string]any `json:"businessInformation"`
		Location map[string]any `json:"assignedLocation"`
		Apps     map[string]any `json:"businessAppListData"`
	}
	if err := json.Unmarshal(s.estate.AppendJSON(nil, a, estate.View{Hide: estate.AllFields &^ estate.BusinessFields}), &has); err != nil {
		return nil, err
	}
	out := &csamAsset{ID: id, At: s.opts.Now().UnixMilli(), Members: map[string]json.RawMessage{}}
	for _, member := range slices.Sorted(maps.Keys(in)) {
		switch {
		case metadataLimits[member] > 0:
			err = put(&has.Business, member, in[member], metadataLimits[member])
		case member == memberLocation:
			err = putAll(&has.Location, in[member])
		case member == "businessAppIds":
			has.Apps, err = s.csam.listed(in[member])
		}
		if err != nil {
			return nil, err
		}
	}
	for member, v := range map[string]map[string]any{memberBusiness: has.Business, memberLocation: has.Location, memberApps: has.Apps} {
		if out.Members[member], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asset returns an asset with what was written about it, or nil.
func (s *Server) asset(id int64) *estate.Asset {
	index, known := s.estate.IndexOf(id)
	if !known {
		return s.unmanaged(id)
	}
	a, known := s.estate.Reader().Asset(index)
	if !known {
		return nil
	}
	s.written(a)
	return a
}

// put sets a text of an object; an empty one removes it, null leaves it.
func put(to *map[string]any, name string, raw json.RawMessage, most int) error {
	if string(raw) == "null" {
		return nil
	}
	var v string
	if json.Unmarshal(raw, &v) != nil {
		return fmt.Errorf("%s must be a string", name)
	}
	if len([]rune(v)) > most {
		return fmt.Errorf("%s exceeds the maximum length of %d", name, most)
	}
	if *to == nil {
		*to = map[string]any{}
	}
	if (*to)[name] = v; v == "" {
		(*to)[name] = nil
	}
	return nil
}

func putAll(to *map[string]any, raw json.RawMessage) error {
	var in map[string]json.RawMessage
	if json.Unmarshal(raw, &in) != nil {
		return errors.New("assignedLocation must be an object")
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if most := locationLimits[name]; most > 0 {
			if err := put(to, name, in[name], most); err != nil {
				return fmt.Errorf("assignedLocation.%w", err)
			}
		}
	}
	return nil
}

// estateApp is the id of an application that the estate's assets have.
var estateApp = regexp.MustCompile(`^BA00(?:0[1-9]|[123][0-9]|40)$`)

// listed returns the applications with the given ids.
func (c *csamStore) listed(raw json.RawMessage) (map[string]any, error) {
	var ids []string
	if json.Unmarshal(raw, &ids) != nil {
		return nil, errors.New("businessAppIds must be a list of strings")
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	apps := []any{}
	for _, id := range ids {
		app := c.apps[id]
		switch {
		case len([]rune(id)) > 40:
			return nil, errors.New("businessAppIds exceeds the maximum length of 40")
		case app == nil && estateApp.MatchString(id):
			app = map[string]any{"id": id, "name": "Application " + strings.TrimLeft(id[2:], "0")}
		case app == nil:
			return nil, fmt.Errorf("Business application %s not found", id) //nolint:staticcheck // the vendor's text
		}
		apps = append(apps, app)
	}
	if len(apps) == 0 {
		return nil, nil
	}
	return map[string]any{"businessApp": apps}, nil
}

// appFields are the texts of an application beside its id and name, at most 255 characters each.
var appFields = []string{"businessCriticality", "status", "environment", "usedFor", "operationalStatus", "ownedBy", "managedBy", "supportedBy", "supportGroup"}

func (s *Server) writeApps(w http.ResponseWriter, r *http.Request) {
	data, refused := readBatch(w, r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	failed := map[string]string{}
	for i, raw := range data {
		var in map[string]json.RawMessage
		var app map[string]any
		err := misread(json.Unmarshal(raw, &in))
		if err == nil {
			app, err = application(in)
		}
		if err == nil {
			s.mu.Lock()
			if err = s.record(journalLine{CSAM: &csamLine{App: app}}); err == nil {
				s.csam.replay(&csamLine{App: app})
			}
			s.mu.Unlock()
		}
		if err != nil {
			var id string
			if _ = json.Unmarshal(in["businessAppId"], &id); id == "" {
				id = "data[" + strconv.Itoa(i) + "]"
			}
			failed[id] = err.Error()
		}
	}
	s.recorder.AddItems(endpointApps, len(data)-len(failed))
	answerBatch(w, len(data), failed)
}

// application reads one application. Its table spells the id businessAppid, its sample businessAppId.
func application(in map[string]json.RawMessage) (map[string]any, error) {
	out := map[string]any{}
	id := in["businessAppId"]
	if id == nil {
		id = in["businessAppid"]
	}
	for _, f := range []struct {
		from, to string
		raw      json.RawMessage
		most     int
	}{{"businessAppId", "id", id, 40}, {"name", "name", in["name"], 255}} {
		if f.raw == nil {
			return nil, fmt.Errorf("%s is mandatory", f.from)
		}
		if err := put(&out, f.to, f.raw, f.most); err != nil {
			return nil, err
		}
		if out[f.to] == nil {
			return nil, fmt.Errorf("%s is mandatory", f.from)
		}
	}
	for _, name := range []string{"created", "lastUpdated"} {
		ms, err := strconv.ParseInt(string(in[name]), 10, 64)
		if err != nil || time.UnixMilli(ms).Year() < 1971 {
			return nil, fmt.Errorf("%s is mandatory, in milliseconds since 1970", name)
		}
	}
	for _, name := range appFields {
		out[name] = nil
		if raw := in[name]; raw != nil {
			if err := put(&out, name, raw, 255); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
