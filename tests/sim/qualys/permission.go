package qualys

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// Permission is something that the subscription or the role gives to a user.
type Permission string

// The permissions that the modelled endpoints ask for. A user has all of them but those in User.Without.
const (
	// PermAPI is API access at all.
	PermAPI Permission = "api"
	// PermInventory is the module GAV/CSAM.
	PermInventory Permission = "inventory"
	// PermAssetManagement is the module Asset Management & Tagging, which the portal's API belongs to.
	PermAssetManagement Permission = "asset-management"
	// PermTagging is the right to create, edit and delete tags: the four below at once.
	PermTagging Permission = "tagging"
	// PermCreateTag, PermEditTag, PermDeleteTag and PermTagRules are "Create User Tag", "Edit User Tag", "Delete User Tag"
	// and "Modify Dynamic Tag Rules".
	PermCreateTag Permission = "create-tag"
	PermEditTag   Permission = "edit-tag"
	PermDeleteTag Permission = "delete-tag"
	PermTagRules  Permission = "tag-rules"
	// PermUpdateAsset is the right to change assets: their tags and their business metadata.
	PermUpdateAsset Permission = "update-asset"
	// PermAddIPs makes the user a Manager, the role that adds addresses to the subscription.
	PermAddIPs Permission = "add-ips"
	// PermCMDBSync is "Asset Inventory CMDB Sync", which the connector's data sync asks for.
	PermCMDBSync Permission = "cmdb-sync"
	// PermVM is the module VM, which the FO APIs belong to.
	PermVM Permission = "vm"
	// PermCertView is the module CertView.
	PermCertView Permission = "certview"
)

var permissions = []Permission{
	PermAPI, PermInventory, PermAssetManagement, PermTagging, PermCreateTag, PermEditTag, PermDeleteTag, PermTagRules, PermUpdateAsset,
	PermAddIPs, PermCMDBSync, PermVM, PermCertView,
}

// Account is the state of a user's account; the zero value is usable.
type Account string

// The states in which FO answers codes 2001 and 2003.
const (
	AccountExpired      Account = "expired"
	AccountUnregistered Account = "unregistered"
)

// Has tells whether the user has a permission.
func (u User) Has(p Permission) bool {
	switch {
	case slices.Contains(u.Without, p), p != PermAPI && slices.Contains(u.Without, PermAPI):
		return false
	case p == PermInventory:
		return !u.NoModule
	case p == PermTagging:
		return !u.NoTags
	case slices.Contains([]Permission{PermCreateTag, PermEditTag, PermDeleteTag, PermTagRules}, p):
		return u.Has(PermTagging)
	}
	return true
}

// role is the user's role as the activity log names it.
func (u User) role() string {
	if u.Has(PermAddIPs) {
		return "Manager"
	}
	return "Scanner"
}

// mayTag tells whether a user may make a call about tags; to give a tag a rule is a permission of its own.
func (u User) mayTag(op string, tag *node) bool {
	need, known := map[string]Permission{"create": PermCreateTag, "update": PermEditTag, "evaluate": PermEditTag, "delete": PermDeleteTag}[op]
	if known && !u.Has(need) {
		return false
	}
	kind, given := tag.value("ruleType")
	_, text := tag.value("ruleText")
	ruled := text || given && kind != static
	return !ruled || u.Has(PermTagRules)
}

// gatewayNeeds are the permissions of the gateway's endpoints, the longest prefix first.
var gatewayNeeds = []struct {
	prefix string
	need   []Permission
}{
	{"/rest/2.0/am/connector/", []Permission{PermInventory, PermCMDBSync}},
	{"/rest/2.0/update/am/", []Permission{PermInventory, PermUpdateAsset}},
	{"/rest/2.0/upsert/am/", []Permission{PermInventory, PermUpdateAsset}},
	{"/certview/", []Permission{PermCertView}},
	{"/", []Permission{PermInventory}},
}

// mayCall tells whether a user's permissions suffice for a call of the gateway.
func (u User) mayCall(path string) bool {
	for _, n := range gatewayNeeds {
		if strings.HasPrefix(path, n.prefix) {
			return !slices.ContainsFunc(n.need, func(p Permission) bool { return !u.Has(p) })
		}
	}
	return true
}

// users are those who may sign in; a test may change them while the simulator runs.
type users struct {
	initial []User

	mu     sync.RWMutex
	byName map[string]User
}

func newUsers(initial []User) *users {
	u := &users{initial: initial}
	u.reset()
	return u
}

func (u *users) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byName = map[string]User{}
	for _, x := range u.initial {
		u.byName[x.Username] = x
	}
}

func (u *users) get(name string) (User, bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	x, ok := u.byName[name]
	return x, ok
}

func (u *users) list() []User {
	u.mu.RLock()
	defer u.mu.RUnlock()
	all := make([]User, 0, len(u.byName))
	for _, x := range u.byName {
		x.Password = ""
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Username, b.Username) })
	return all
}

// mountUsers adds /_sim/users: GET lists the users without their passwords; POST adds one or replaces what is said of
// one (the password stays when none is sent).
func (s *Server) mountUsers(mux *http.ServeMux) {
	mux.HandleFunc("GET "+control.Prefix+"users", func(w http.ResponseWriter, _ *http.Request) {
		control.WriteJSON(w, http.StatusOK, s.users.list())
	})
	mux.HandleFunc("POST "+control.Prefix+"users", func(w http.ResponseWriter, r *http.Request) {
		var u User
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, formLimit))
		d.DisallowUnknownFields()
		err := d.Decode(&u)
		unknown := slices.IndexFunc(u.Without, func(p Permission) bool { return !slices.Contains(permissions, p) })
		switch {
		case err != nil:
			http.Error(w, "qualys: user: "+err.Error(), http.StatusBadRequest)
			return
		case u.Username == "":
			http.Error(w, "qualys: user: username is missing", http.StatusBadRequest)
			return
		case unknown >= 0:
			http.Error(w, "qualys: user: unknown permission "+string(u.Without[unknown]), http.StatusBadRequest)
			return
		case u.Account != "" && u.Account != AccountExpired && u.Account != AccountUnregistered:
			http.Error(w, "qualys: user: account must be empty, expired or unregistered", http.StatusBadRequest)
			return
		}
		s.users.mu.Lock()
		defer s.users.mu.Unlock()
		if u.Password == "" {
			u.Password = s.users.byName[u.Username].Password
		}
		s.users.byName[u.Username] = u
		w.WriteHeader(http.StatusNoContent)
	})
}
