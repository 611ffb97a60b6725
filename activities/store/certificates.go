package store

import (
	"context"
	"time"

	"github.com/qbridge/qbridge/domain/record"
)

// Certificate is what is remembered of a certificate beside its record: when it
// ends, and which enumeration saw it last.
type Certificate struct {
	Schedule, Target, Key string
	Name, Issuer          string
	ValidTo               time.Time // zero: not known
	Hosts                 int64     // assets in the target that serve it
	SeenAt                time.Time
	Retired               bool
	// Missed counts the complete enumerations that came after the last one that saw
	// it. Only CertificatesOf tells.
	Missed int64
}

// CertificateFilter selects certificates that are not retired, in the order of their
// ends.
type CertificateFilter struct {
	Schedule string    // empty: of all schedules
	Until    time.Time // ends before; zero: all
	After    string    // what ListCertificates returned as next
	Limit    int       // default 100
}

// CertificateList is a page of certificates. Next is empty at the end.
type CertificateList struct {
	Certificates []Certificate
	Total        int64
	Next         string
}

// Certificates remembers certificates.
type Certificates interface {
	// SeeCertificates notes that an enumeration has seen certificates: what was
	// retired is not any more. Seeing one twice changes nothing. ErrStaleEpoch.
	SeeCertificates(ctx context.Context, run string, epoch, enumeration int64, list []Certificate) error
	// CertificatesOf returns those of some keys that are known.
	CertificatesOf(ctx context.Context, schedule, target string, keys []string) (map[string]Certificate, error)
	ListCertificates(ctx context.Context, f CertificateFilter) (CertificateList, error)
	// CountCertificates counts the certificates of a schedule that are not retired:
	// all of them, and those that end before each of some instants.
	CountCertificates(ctx context.Context, schedule string, before []time.Time) (total int64, ending []int64, err error)
	// RetireCertificates marks up to limit certificates as retired that neither this
	// enumeration has seen nor the complete one before it, and that were seen last
	// before an instant, and returns their keys. Batches are numbered: asking for
	// one again returns the same keys. What an enumeration marked that never became
	// complete is marked again by the next. ErrStaleEpoch.
	RetireCertificates(ctx context.Context, in Retire) ([]string, error)
	// HeadsOf returns the heads of keys in a target over all schedules, with bodies.
	HeadsOf(ctx context.Context, target string, kind record.Kind, keys []string) ([]Record, error)
}

// Retire asks for a batch of certificates to retire.
type Retire struct {
	Run         string
	Epoch       int64
	Enumeration int64
	Batch       int64
	SeenBefore  time.Time
	Limit       int
}
