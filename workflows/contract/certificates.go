package contract

import "time"

// Expiring counts the certificates of a schedule that are not retired. Those that
// end within 60 and 90 days hold those of the shorter spans; what has ended is
// counted apart.
type Expiring struct {
	Total   int64 `json:"total"`
	Expired int64 `json:"expired"`
	In30    int64 `json:"in30Days"`
	In60    int64 `json:"in60Days"`
	In90    int64 `json:"in90Days"`
}

// CertificateView is one certificate.
type CertificateView struct {
	Key      string    `json:"key"`
	Schedule string    `json:"schedule"`
	Target   string    `json:"target"`
	Name     string    `json:"name"`
	Issuer   string    `json:"issuer,omitempty"`
	ValidTo  time.Time `json:"validTo,omitzero"`
	Hosts    int64     `json:"hosts"` // assets in the CMDB that serve it
	SysID    string    `json:"sysId,omitempty"`
	SeenAt   time.Time `json:"seenAt"`
	Retired  bool      `json:"retired,omitempty"`
}

// CertificateList is a page of certificates in the order of their ends; Next is what
// to ask after, or empty.
type CertificateList struct {
	Certificates []CertificateView `json:"certificates"`
	Total        int64             `json:"total"`
	Next         string            `json:"next,omitempty"`
}
