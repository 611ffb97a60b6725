package qualys

import (
	"crypto/hmac"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/tests/sim/control"
)

const (
	pathQPS        = "/qps/rest/2.0/"
	pathVersion    = "/qps/rest/portal/version"
	endpointPortal = "qps.version"
)

// qpsEndpoint names a call of the Asset Management & Tagging API; "" for what is not modelled.
func qpsEndpoint(path string) string {
	op, object, _ := qpsParts(path)
	operations := map[string][]string{
		"hostasset": {"get", "search", "count", "update"},
		"asset":     {"get", "search", "count"},
		"tag":       {"get", "search", "count", "create", "update", "delete", "evaluate"},
	}
	if slices.Contains(operations[object], op) {
		return "qps." + op + "." + object
	}
	return ""
}

// qpsParts takes /qps/rest/2.0/{op}/am/{object}[/{id}] apart.
func qpsParts(path string) (op, object, id string) {
	rest, ok := strings.CutPrefix(path, pathQPS)
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	if !ok || len(parts) < 3 || len(parts) > 4 || parts[1] != "am" {
		return "", "", ""
	}
	if len(parts) == 4 {
		id = parts[3]
	}
	return parts[0], parts[2], id
}

// basic returns the user of a call with basic authentication.
func (s *Server) basic(r *http.Request) (User, bool) {
	name, password, _ := r.BasicAuth()
	user, known := s.users.get(name)
	return user, known && hmac.Equal([]byte(user.Password), []byte(password))
}

// qpsUser checks the credentials. A failure has status 200 and the schema of hostasset whatever was called, as recorded.
func (s *Server) qpsUser(w http.ResponseWriter, r *http.Request) (User, bool) {
	user, ok := s.basic(r)
	if !ok {
		s.failQPS(w, r, "2.0/am/hostasset", &qpsFailure{"INVALID_CREDENTIALS", "Authentication failed", "Verify both, user and password credentials."})
		return user, false
	}
	control.Note(r.Context(), "user "+user.Username)
	return user, true
}

func (s *Server) failQPS(w http.ResponseWriter, r *http.Request, schema string, f *qpsFailure) {
	control.Note(r.Context(), f.code+" "+f.message)
	s.answerQPS(w, r, schema, textElem("responseCode", f.code),
		objectElem("responseErrorDetails", textElem("errorMessage", f.message), textElem("errorResolution", f.resolution)))
}

// version serves GET /qps/rest/portal/version.
func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.qpsUser(w, r); !ok {
		return
	}
	s.answerQPS(w, r, "version", textElem("responseCode", "SUCCESS"), numberElem("count", "1"), objectElem("data",
		objectElem("Portal-Version",
			textElem("PortalApplication-VERSION", "3.12.0.0-1 OFFICIAL #720 (2025-01-10T08:00:00Z)"), textElem("ITAM-VERSION", "2.9.0.0-1"),
			textElem("CA-VERSION", "3.11.0.0"), textElem("CERTVIEW-VERSION", "2.8.5.0-26")),
		objectElem("QWeb-Version", textElem("WEB-VERSION", "10.18.2.0-2"), textElem("SCANNER-VERSION", "12.10.24-1"), textElem("VULNSIGS-VERSION", "2.5.484-3"))))
}

// qpsCall is one call of the API on its way.
type qpsCall struct {
	op, object, id string
	user           User
	request        qpsRequest
	fields         []string
}

// qps serves /qps/rest/2.0/{op}/am/{object}[/{id}] (Asset Management & Tagging API v2).
func (s *Server) qps(w http.ResponseWriter, r *http.Request) {
	if qpsEndpoint(r.URL.Path) == "" {
		s.spring(w, r, http.StatusNotFound, "No static resource "+trimSlash(r.URL.Path)+".")
		return
	}
	user, ok := s.qpsUser(w, r)
	if !ok {
		return
	}
	c := qpsCall{user: user}
	c.op, c.object, c.id = qpsParts(r.URL.Path)
	schema := "2.0/am/" + c.object
	if verb := map[bool]string{true: http.MethodGet, false: http.MethodPost}[c.op == "get"]; r.Method != verb {
		w.Header().Set("Allow", verb)
		s.spring(w, r, http.StatusMethodNotAllowed, "Request method '"+r.Method+"' is not supported")
		return
	}
	kids, refused := s.qpsRun(w, r, &c)
	if refused != nil {
		s.failQPS(w, r, schema, refused)
		return
	}
	if !s.pause(r.Context()) {
		return
	}
	s.answerQPS(w, r, schema, append([]elem{textElem("responseCode", "SUCCESS")}, kids...)...)
}

func (s *Server) qpsRun(w http.ResponseWriter, r *http.Request, c *qpsCall) ([]elem, *qpsFailure) {
	if !c.user.Has(PermInventory) || !c.user.Has(PermAssetManagement) {
		return nil, invalid400("The module is not enabled for the subscription.", "Contact your account manager.")
	}
	if c.op == "update" && c.object == "hostasset" && !c.user.Has(PermUpdateAsset) {
		return nil, &qpsFailure{"UNAUTHORIZED", "You do not have permission to update assets.", "Ask a manager for the permission."}
	}
	body, refused := decodeQPS(w, r)
	if refused != nil {
		return nil, refused
	}
	criteria := tagCriteria()
	if c.object != "tag" {
		criteria = assetCriteria(c.object == "hostasset")
	}
	if c.request, refused = parseQPS(body, criteria); refused != nil {
		return nil, refused
	}
	if c.object == "tag" && !c.user.mayTag(c.op, c.request.data.child("Tag")) {
		return nil, &qpsFailure{"UNAUTHORIZED", "You do not have permission to change tags.", "Ask a manager for the permission."}
	}
	if text := r.URL.Query().Get("fields"); text != "" {
		c.fields = strings.Split(text, ",")
	}
	if c.id != "" {
		id, err := strconv.ParseInt(c.id, 10, 64)
		if err != nil {
			return nil, invalid400("Invalid id '"+c.id+"'.", "Specify the id as Long.")
		}
		c.request.criteria = append(c.request.criteria, qpsCriterion{field: "id", op: "EQUALS", class: qpsInteger, numbers: []int64{id}})
		c.request.constrained = true
	}
	switch c.op {
	case "get":
		return s.qpsGet(c)
	case "search":
		return s.qpsSearch(c), nil
	case "count":
		n := 0
		s.qpsEach(c, func(qpsRecord) bool { n++; return true })
		return []elem{numberElem("count", strconv.Itoa(n))}, nil
	case "create":
		return s.createTag(c)
	}
	if !c.request.constrained {
		return nil, invalid400("Neither an id nor filters were given.", "Specify an id in the URL or filters in the body.")
	}
	if c.object == "hostasset" {
		return s.tagAssets(c)
	}
	return s.changeTags(c)
}

// qpsEach calls fn with the matching records, ascending by id, until fn returns false.
func (s *Server) qpsEach(c *qpsCall, fn func(qpsRecord) bool) {
	visit := func(rec qpsRecord) bool { return !c.request.match(rec) || fn(rec) }
	if c.object == "tag" {
		all := s.tags.sorted()
		for _, t := range all {
			if !visit(tagRecord(t, all)) {
				return
			}
		}
		return
	}
	reader := s.estate.Reader()
	start, end := s.estate.After(c.request.after()), s.estate.Size()
	if c.id != "" {
		// The id was checked to be a number already.
		index, ok := s.estate.IndexOf(c.request.criteria[len(c.request.criteria)-1].numbers[0])
		if !ok {
			return
		}
		start, end = index, index+1
	}
	for index := start; index < end; index++ {
		a, ok := reader.Asset(index)
		if !ok || c.object == "hostasset" && !isHost(a) {
			continue
		}
		s.written(a) // what rules of tags ask about
		if !visit(s.assetRecord(a, c.object)) {
			return
		}
	}
}

func (s *Server) qpsGet(c *qpsCall) ([]elem, *qpsFailure) {
	var kids []elem
	if c.id == "" {
		return nil, invalid400("An id is expected in the URL.", "Specify the id.")
	}
	s.qpsEach(c, func(rec qpsRecord) bool {
		kids = []elem{numberElem("count", "1"), listElem("data", c.only(rec.elem()))}
		return false
	})
	if kids == nil {
		return nil, notFound(c.object, c.id)
	}
	return kids, nil
}

// qpsSearch lists one page. hasMoreRecords is a text, lastId is there only when more follow, and an empty answer has
// neither of them nor data.
func (s *Server) qpsSearch(c *qpsCall) []elem {
	data := listElem("data")
	skip, last, more := c.request.offset-1, int64(0), false
	s.qpsEach(c, func(rec qpsRecord) bool {
		if skip > 0 {
			skip--
			return true
		}
		if len(data.kids) == c.request.limit {
			more = true
			return false
		}
		last = rec.id
		data.add(c.only(rec.elem()))
		return true
	})
	count := numberElem("count", strconv.Itoa(len(data.kids)))
	s.recorder.AddItems("qps.search."+c.object, len(data.kids))
	switch {
	case len(data.kids) == 0:
		return []elem{count}
	case more:
		return []elem{count, textElem("hasMoreRecords", "true"), numberElem("lastId", strconv.FormatInt(last, 10)), data}
	}
	return []elem{count, textElem("hasMoreRecords", "false"), data}
}

// only keeps the members that ?fields= asks for.
func (c *qpsCall) only(e elem) elem {
	if c.fields != nil {
		e.kids = slices.DeleteFunc(e.kids, func(k elem) bool { return !slices.Contains(c.fields, k.name) })
	}
	return e
}
