package httpapi

import (
	"net/http"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/workflows/contract"
)

// listCertificates answers which certificates there are, in the order of their ends.
func (s *Server) listCertificates(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := store.CertificateFilter{Schedule: q.Get("schedule"), After: q.Get("after")}
	var err error
	if f.Limit, err = limit(q.Get("limit"), 100); err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	if text := q.Get("until"); text != "" {
		if f.Until, err = time.Parse(time.RFC3339, text); err != nil {
			refuse(w, http.StatusBadRequest, "until is not an instant", "write for example 2026-12-31T00:00:00Z")
			return
		}
	}
	list, err := s.opts.Store.ListCertificates(r.Context(), f)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	out := contract.CertificateList{Certificates: make([]contract.CertificateView, 0, len(list.Certificates)), Total: list.Total, Next: list.Next}
	keys := map[string][]string{} // by target
	for _, c := range list.Certificates {
		keys[c.Target] = append(keys[c.Target], c.Key)
	}
	ids := map[string]string{}
	for target, of := range keys {
		links, err := s.opts.Store.LinksOf(r.Context(), target, of)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		for key, l := range links {
			ids[target+"\x00"+key] = l.SysID
		}
	}
	for _, c := range list.Certificates {
		out.Certificates = append(out.Certificates, contract.CertificateView{
			Key: c.Key, Schedule: c.Schedule, Target: c.Target, Name: c.Name, Issuer: c.Issuer, ValidTo: c.ValidTo, Hosts: c.Hosts,
			SysID: ids[c.Target+"\x00"+c.Key], SeenAt: c.SeenAt,
		})
	}
	answer(w, out)
}
