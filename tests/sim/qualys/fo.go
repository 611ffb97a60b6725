package qualys

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// formLimitFO bounds the body of an FO call.
const formLimitFO = 8 << 20

const (
	pathAbout       = "/msp/about.php"
	endpointAbout   = "msp.about"
	endpointSession = "fo.session"
)

var pathFO = regexp.MustCompile(`^/api/([2-5]\.0)/fo/(asset/ip|asset/excluded_ip|asset/host|asset/group|activity_log|session)/?$`)

// foParts takes /api/{version}/fo/{api}/ apart. Only the host list has versions above 2.0 among what is modelled.
func foParts(path string) (version, api string) {
	m := pathFO.FindStringSubmatch(path)
	if m == nil || m[1] != "2.0" && m[2] != "asset/host" {
		return "", ""
	}
	return m[1], m[2]
}

// foEndpoint names an FO API; the action may be in the body, so it is not part of the name.
func foEndpoint(path string) string {
	if path == pathAbout {
		return endpointAbout
	}
	if _, api := foParts(path); api != "" {
		return "fo." + strings.TrimPrefix(api, "asset/")
	}
	return ""
}

// foError is a SIMPLE_RETURN with a code.
type foError struct {
	status, code int
	text         string
}

func foBad(code int, text string) *foError { return &foError{http.StatusBadRequest, code, text} }

// The texts of codes that the appendix lists by their gist only.
var (
	foLogin        = &foError{http.StatusUnauthorized, 2000, "Bad Login/Password"}
	foExpired      = &foError{http.StatusOK, 2001, "This account has expired."}
	foUnregistered = &foError{http.StatusConflict, 2003, "Registration must be completed before API requests will be processed for this account."}
	foDenied       = &foError{http.StatusForbidden, 2012, "User license is not authorized to run this API."}
	foHeader       = foBad(1903, "Missing required header: X-Requested-With")
)

// foCall is one call on its way. params hold the last value of each parameter.
type foCall struct {
	api, action string
	params      map[string]string
	user        User
	host        string
	now         time.Time
}

func (c *foCall) get(name string) string { return c.params[name] }

// foReply is a success: a root with its DTD.
type foReply struct {
	root    foNode
	dtd     string
	trailer bool
	items   int
}

// foAction is what an API does for one value of the parameter action.
type foAction struct {
	post     bool
	required string
	optional string
	run      func(*Server, *foCall) (foReply, *foError)
}

func foActions() map[string]map[string]foAction {
	return map[string]map[string]foAction{
		"asset/ip": {
			"list":   {optional: "ips network_id tracking_method compliance_enabled certview_enabled", run: (*Server).listIPs},
			"add":    {post: true, optional: "ips enable_vm enable_pc enable_sca enable_certview tracking_method owner ud1 ud2 ud3 comment ag_title network_id", run: (*Server).writeFO},
			"update": {post: true, required: "ips", optional: "network_id tracking_method host_dns host_netbios owner ud1 ud2 ud3 comment", run: (*Server).writeFO},
		},
		"asset/excluded_ip": {"list": {optional: "ips network_id", run: (*Server).listExcluded}},
		"asset/host": {
			"list":   {optional: hostParameters, run: (*Server).listHosts},
			"update": {post: true, optional: hostSelectors + " " + hostSetters, run: (*Server).updateHosts},
			"purge":  {post: true, optional: hostSelectors, run: (*Server).purgeHosts},
		},
		"asset/group": {
			"list":   {optional: "ids id_min id_max truncation_limit network_ids unit_id user_id title show_attributes", run: (*Server).listGroups},
			"add":    {post: true, required: "title", optional: "network_id comments division location function business_impact ips appliance_ids default_appliance_id domains dns_names netbios_names", run: (*Server).writeFO},
			"edit":   {post: true, required: "id", optional: groupSetters, run: (*Server).writeFO},
			"delete": {post: true, required: "id", run: (*Server).writeFO},
		},
		"activity_log": {"list": {optional: "username truncation_limit since_datetime until_datetime user_action action_details user_role output_format", run: nil}},
	}
}

// mountFO registers the FO APIs, the OAuth flows, and the calls of /_sim/ about users and settings.
func (s *Server) mountFO(mux *http.ServeMux) {
	mux.HandleFunc("/api/", s.serveFO)
	mux.HandleFunc(pathAbout, s.about)
	mux.HandleFunc(pathOAuth, s.verbs(s.clientToken, http.MethodPost))
	mux.HandleFunc(pathOIDC, s.verbs(s.clientToken, http.MethodPost))
	mux.HandleFunc(pathIdP, s.verbs(s.identityProvider, http.MethodPost))
	s.mountUsers(mux)
	s.mountSettings(mux)
}

// serveFO serves /api/{version}/fo/…: credentials, state of the account, header, permission, limits, method and
// parameters, in this order.
func (s *Server) serveFO(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Qualys")
	_, api := foParts(r.URL.Path)
	if api == "" {
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html><body><h1>Not Found</h1></body></html>\n")
		return
	}
	params, refused := readFO(w, r)
	if refused == nil && api == "session" {
		s.session(w, r, params)
		return
	}
	user, denied := s.foUser(r)
	if denied == nil && r.Header.Get("X-Requested-With") == "" {
		denied = foHeader
	}
	if denied == nil && !user.Has(PermVM) {
		denied = foDenied
	}
	if denied != nil {
		s.failFO(w, r, denied)
		return
	}
	control.Note(r.Context(), "user "+user.Username)
	done, ok := s.enterFO(w, r)
	if !ok {
		return
	}
	defer done()
	if refused != nil {
		s.failFO(w, r, refused)
		return
	}
	c := &foCall{api: api, action: params["action"], params: params, user: user, host: r.Host, now: s.opts.Now().UTC()}
	action, refused := checkFO(c, r.Method)
	if refused != nil {
		s.failFO(w, r, refused)
		return
	}
	s.fo.log(c)
	if action.run == nil {
		s.activityLog(w, c)
		return
	}
	reply, refused := action.run(s, c)
	if refused != nil {
		s.failFO(w, r, refused)
		return
	}
	if !s.pause(r.Context()) {
		return
	}
	if c.get("echo_request") == "1" {
		reply.root.kids = slices.Insert(reply.root.kids, 0, echo(c, r))
	}
	s.recorder.AddItems(foEndpoint(r.URL.Path), reply.items)
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(document(reply.root, reply.dtd, reply.trailer))
}

// readFO merges the query and the form; of a repeated parameter the last one counts. A CSV body stands for ips.
func readFO(w http.ResponseWriter, r *http.Request) (map[string]string, *foError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, foBad(1905, "The query is malformed.")
	}
	params := map[string]string{}
	last := func(values url.Values) {
		for name, list := range values {
			params[name] = list[len(list)-1]
		}
	}
	last(values)
	if r.Method != http.MethodPost {
		return params, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formLimitFO))
	if err != nil {
		return nil, foBad(1905, "The request body is too large.")
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case media == "text/csv":
		if _, twice := params["ips"]; twice {
			return nil, foBad(1904, "Please specify only one of: ips, CSV data")
		}
		params["ips"] = strings.Join(strings.FieldsFunc(string(body), func(c rune) bool { return c == '\n' || c == '\r' || c == ',' }), ",")
	case media == "application/x-www-form-urlencoded" || len(body) == 0:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, foBad(1905, "The form is malformed.")
		}
		last(form)
	default:
		// A body that is no form carries no parameters, so the call lacks them.
	}
	return params, nil
}

// checkFO finds the action and checks method and parameters (appendix "error codes": 1901, 1903, 1905, 1908).
func checkFO(c *foCall, method string) (foAction, *foError) {
	if c.action == "" {
		return foAction{}, foBad(1903, "Missing required parameter(s): action")
	}
	a, known := foActions()[c.api][c.action]
	if !known {
		return a, foBad(1905, "parameter action has invalid value: "+c.action)
	}
	if method != http.MethodPost && (a.post || method != http.MethodGet) {
		return a, foBad(1908, "Wrong request method: please use POST")
	}
	required := strings.Fields(a.required)
	allowed := slices.Concat([]string{"action", "echo_request"}, required, strings.Fields(a.optional))
	var unknown, missing []string
	for _, name := range slices.Sorted(maps.Keys(c.params)) {
		if !slices.Contains(allowed, name) {
			unknown = append(unknown, name)
		}
	}
	for _, name := range required {
		if c.params[name] == "" {
			missing = append(missing, name)
		}
	}
	if unknown != nil {
		return a, foBad(1901, "Unrecognized parameter(s): "+strings.Join(unknown, ", "))
	}
	if missing != nil {
		return a, foBad(1903, "Missing required parameter(s): "+strings.Join(missing, ", "))
	}
	for _, name := range []string{"echo_request", "enable_vm", "enable_pc", "enable_sca", "enable_certview", "compliance_enabled", "certview_enabled", "show_asset_id", "show_tags", "use_tags", "show_ars", "show_ars_factors", "show_trurisk", "show_trurisk_factors", "show_cloud_tags"} {
		if v, given := c.params[name]; given && v != "0" && v != "1" {
			return a, foBad(1905, "parameter "+name+" has invalid value: "+v+" (must be 0 or 1)")
		}
	}
	if id, given := c.params["network_id"]; given && id != "0" {
		return a, foBad(1905, "parameter network_id has invalid value: "+id)
	}
	return a, nil
}

// foUser checks basic credentials, a session, or the token of an identity provider, and the state of the account.
func (s *Server) foUser(r *http.Request) (User, *foError) {
	user, ok := s.basic(r)
	if !ok && s.opts.FO.Bearer {
		user, ok = s.bearer(r)
	}
	if !ok && r.Header.Get("Authorization") == "" {
		user, ok = s.sessions.user(r, s.opts.Now())
	}
	switch {
	case !ok:
		return user, foLogin
	case user.Account == AccountExpired:
		return user, foExpired
	case user.Account == AccountUnregistered:
		return user, foUnregistered
	}
	return user, nil
}

func (s *Server) simple(r *http.Request, kids ...foNode) []byte {
	response := branch("RESPONSE", append([]foNode{leaf("DATETIME", stampFO(s.opts.Now()))}, kids...)...)
	return document(branch("SIMPLE_RETURN", response), "https://"+r.Host+"/api/2.0/simple_return.dtd", false)
}

func (s *Server) failFO(w http.ResponseWriter, r *http.Request, e *foError) {
	control.Note(r.Context(), strconv.Itoa(e.code)+" "+e.text)
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(e.status)
	_, _ = w.Write(s.simple(r, leaf("CODE", strconv.Itoa(e.code)), leaf("TEXT", e.text)))
}

// stampFO writes a moment as FO does, without fractions of a second.
func stampFO(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// echo is the REQUEST element of echo_request=1.
func echo(c *foCall, r *http.Request) foNode {
	list := branch("PARAM_LIST")
	for _, name := range slices.Sorted(maps.Keys(c.params)) {
		list.kids = append(list.kids, branch("PARAM", leaf("KEY", name), leaf("VALUE", c.params[name])))
	}
	return branch("REQUEST", leaf("DATETIME", stampFO(c.now)), leaf("USER_LOGIN", c.user.Username),
		leaf("RESOURCE", "https://"+r.Host+r.URL.Path), list)
}
