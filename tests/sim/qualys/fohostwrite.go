package qualys

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// Parameters of asset/host, action=update and action=purge: bare names select hosts, new_ names are the new values.
const (
	hostSelectors = "ids ips ag_ids ag_titles network_id tracking_method host_dns host_netbios"
	hostSetters   = "new_tracking_method new_owner new_ud1 new_ud2 new_ud3 new_comment"
)

// remarks shows the last owner, comment and user-defined values that were said about an address.
func (f *foStore) remarks(n *foNode, address uint32) {
	owner, comment, ud := "", "", [3]string{}
	for _, note := range f.notes {
		if !note.of.has(address) {
			continue
		}
		owner, comment = orDefault(note.owner, owner), orDefault(note.comment, comment)
		for i := range ud {
			ud[i] = orDefault(note.ud[i], ud[i])
		}
	}
	n.optional("OWNER", owner)
	n.optional("COMMENTS", comment)
	if ud == [3]string{} {
		return
	}
	user := branch("USER_DEF")
	for i := range ud {
		user.kids = append(user.kids, cdata("LABEL_"+strconv.Itoa(i+1), "User Defined Field "+strconv.Itoa(i+1)))
	}
	for i := range ud {
		user.kids = append(user.kids, cdata("VALUE_"+strconv.Itoa(i+1), ud[i]))
	}
	n.kids = append(n.kids, user)
}

// selectHosts returns the addresses and the ids of the hosts that a call selects, ids ascending.
func (s *Server) selectHosts(c *foCall) (set addresses, ids []int64, refused *foError) {
	if c.get("ids") == "" && c.get("ips") == "" && c.get("ag_ids") == "" && c.get("ag_titles") == "" {
		return nil, nil, foBad(1922, "Please specify at least one of: ids, ips, ag_ids, ag_titles")
	}
	selection := &foCall{params: map[string]string{}, now: c.now}
	for _, name := range []string{"ids", "ips", "ag_ids", "ag_titles"} {
		if v := c.get(name); v != "" {
			selection.params[name] = v
		}
	}
	s.fo.mu.Lock()
	defer s.fo.mu.Unlock()
	q, refused := s.hostQuery(selection)
	if refused != nil {
		return nil, nil, refused
	}
	reader := s.estate.Reader()
	for index := range s.estate.Size() {
		a, ok := reader.Asset(index)
		if ok && q.wanted(a.HostID) && s.hostMatches(a, &q) && s.selected(a, c) {
			set, ids = append(set, ipSpan{number(a.Address), number(a.Address)}), append(ids, a.HostID)
		}
	}
	slices.Sort(ids)
	return normal(set), slices.Compact(ids), nil
}

// selected reports whether the narrower selectors choose a host too.
func (s *Server) selected(a *estate.Asset, c *foCall) bool {
	if v := c.get("tracking_method"); v != "" && v != s.fo.method(number(a.Address)) {
		return false
	}
	if v := c.get("host_dns"); v != "" && v != a.DNSName {
		return false
	}
	return c.get("host_netbios") == "" || c.get("host_netbios") == a.NetBIOS
}

// updateHosts serves asset/host, action=update. The text of its answer is not published.
func (s *Server) updateHosts(c *foCall) (foReply, *foError) {
	set, _, refused := s.selectHosts(c)
	if refused != nil {
		return foReply{}, refused
	}
	if len(set) == 0 {
		return foReply{}, foBad(1905, "no host matches")
	}
	// The change is the one of asset/ip, with the addresses of the hosts.
	change := *c
	change.api, change.action, change.params = "asset/ip", "update", map[string]string{"ips": set.String()}
	for from, to := range map[string]string{"new_tracking_method": "tracking_method", "new_owner": "owner", "new_ud1": "ud1", "new_ud2": "ud2", "new_ud3": "ud3", "new_comment": "comment"} {
		if v, given := c.params[from]; given {
			change.params[to] = v
		}
	}
	if len(change.params) == 1 {
		return foReply{}, foBad(1922, "Please specify at least one of: new_tracking_method, new_owner, new_ud1, new_ud2, new_ud3, new_comment")
	}
	reply, refused := s.writeFO(&change)
	if refused == nil {
		reply.root.kids[0].kids[1] = leaf("TEXT", "Assets successfully updated")
	}
	return reply, refused
}

// purgeHosts serves asset/host, action=purge: what scans found of the hosts is removed some time later. Here they leave
// the list at once; the addresses stay in the subscription and the assets in the inventory.
func (s *Server) purgeHosts(c *foCall) (foReply, *foError) {
	if !c.user.Has(PermAddIPs) {
		return foReply{}, foDenied
	}
	_, ids, refused := s.selectHosts(c)
	if refused != nil {
		return foReply{}, refused
	}
	s.mu.Lock()
	err := s.record(journalLine{FO: &foLine{API: c.api, Action: c.action, Hosts: ids}})
	s.mu.Unlock()
	if err != nil {
		return foReply{}, &foError{http.StatusInternalServerError, 999, "Internal error."}
	}
	s.fo.purge(ids)
	batch := branch("BATCH", leaf("TEXT", "Hosts Queued for Purging"))
	if len(ids) > 0 {
		batch.kids = append(batch.kids, idSet(ids))
	}
	response := branch("RESPONSE", leaf("DATETIME", stampFO(c.now)), branch("BATCH_LIST", batch))
	return foReply{root: branch("BATCH_RETURN", response), dtd: "https://" + c.host + "/api/2.0/batch_return.dtd", items: len(ids)}, nil
}

func (f *foStore) purge(ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.purged[id] = true
	}
}
