package activities

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Certificates reads certificates from Qualys and stages what becomes of them.
//
// An enumeration has four parts, one after the other: certificates of roots, then
// those of intermediate authorities, so that whoever issued a certificate is there
// before it; then all; then, without a call, those that are out of sight and end.
// The cursor is the part and the page in it.
type Certificates struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
}

// Parts of an enumeration.
const (
	partRoots = iota
	partAuthorities
	partAll
	partGone
)

// partSize is how many pages a part may have.
const partSize = 1_000_000_000

// partTypes are the types of certificates that the parts ask for.
var partTypes = [...]string{partRoots: "Root", partAuthorities: "Intermediate", partAll: ""}

// goneAtOnce bounds the certificates of a page that end.
const goneAtOnce = 200

// certificateRule stands for the rule that chose the class.
const certificateRule = "certificates"

// Reasons of certificates that are not written.
const (
	notImported  = "no asset that serves it is in the target"
	notEvenKnown = "no asset serves it"
)

// QualysFetchCertificates fetches the page of certificates at a cursor, unless the
// store has it already, and stages it in one transaction. A malformed certificate
// becomes a failed record and never spoils its neighbours; one that no imported
// asset serves is filtered. The last pages are those of certificates that Qualys
// has stopped to list.
func (a *Certificates) QualysFetchCertificates(ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return in.Cursor })
	defer stop()
	ref, err := a.fetch(ctx, in)
	return ref, temporalError(stopped(ctx, err))
}

func (a *Certificates) fetch(ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
	if ref, found, err := adopted(ctx, a.Store, &in); found || err != nil {
		return ref, err
	}
	setup, err := a.Settings.Of(ctx, in.Plan.Revision, in.Plan.Schedule)
	if err != nil {
		return contract.PageRef{}, err
	}
	f := &certificateFetch{Certificates: a, plan: &in.Plan, setup: setup, part: int(in.Cursor / partSize), page: in.Cursor % partSize}
	if f.plan.Sample > 0 && f.part < partAll { // a sample is of all
		f.part = partAll
	}
	f.stage = store.StagePage{
		Run: f.plan.Run, Epoch: f.plan.Epoch, Enumeration: f.plan.Enumeration, CursorIn: in.Cursor, CursorOut: in.Cursor + 1, Verify: f.plan.Verify, Hold: f.plan.Approval,
	}
	if f.part == partGone {
		err = f.gone(ctx)
	} else {
		if why := setup.Budget.Stop(a.Now(), in.Spent); why != "" {
			return contract.PageRef{Stopped: why, Last: true, Next: in.Cursor}, nil
		}
		if err := crash.At(ctx, crash.BeforeFetch); err != nil {
			return contract.PageRef{}, err
		}
		err = f.list(ctx)
	}
	if err != nil {
		return contract.PageRef{}, err
	}
	if err := crash.At(ctx, crash.AfterFetch); err != nil {
		return contract.PageRef{}, err
	}
	return f.put(ctx)
}

// adopted returns the page at a cursor when the store has it: a Qualys call is the
// scarcest resource there is.
func adopted(ctx context.Context, s store.Store, in *contract.FetchPageInput) (contract.PageRef, bool, error) {
	plan := &in.Plan
	page, err := s.FindPage(ctx, plan.Run, plan.Epoch, plan.Enumeration, in.Cursor)
	if isNotFound(err) {
		return contract.PageRef{}, false, nil
	}
	if err != nil {
		return contract.PageRef{}, false, err
	}
	if page.ToWrite == 0 { // the attempt before ended between staging and this
		if _, err := s.FinishPage(ctx, plan.Run, plan.Epoch, page.ID); err != nil {
			return contract.PageRef{}, false, err
		}
	}
	ref := pageRef(page)
	ref.Adopted = true
	return ref, true, nil
}

// certificateFetch is one page on its way into the store.
type certificateFetch struct {
	*Certificates
	plan  *contract.RunPlan
	setup *Setup
	part  int
	page  int64
	calls int64
	stage store.StagePage
	seen  []store.Certificate
	// written are the CIs of certificates that no imported asset serves any more.
	written map[string]store.Link
}

// goneBefore is when a certificate must have been seen last to be retired now.
func (f *certificateFetch) goneBefore() time.Time {
	return f.plan.StartedAt.Add(-f.setup.Schedule.Certificates.Grace())
}

// put stores the page. The calls are spent: it is stored even when the run is
// cancelled meanwhile.
func (f *certificateFetch) put(ctx context.Context) (contract.PageRef, error) {
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stageTimeout)
	defer cancel()
	if len(f.seen) > 0 && f.plan.Sample == 0 {
		if err := f.Store.SeeCertificates(sctx, f.plan.Run, f.plan.Epoch, f.plan.Enumeration, f.seen); err != nil {
			return contract.PageRef{}, err
		}
	}
	page, err := f.Store.StagePage(sctx, f.stage)
	if err != nil {
		return contract.PageRef{}, err
	}
	if page.ToWrite == 0 {
		if _, err := f.Store.FinishPage(sctx, f.plan.Run, f.plan.Epoch, page.ID); err != nil {
			return contract.PageRef{}, err
		}
	}
	ref := pageRef(page)
	ref.Calls = f.calls
	return ref, crash.At(ctx, crash.AfterStage)
}

// list reads a page of Certificate View.
func (f *certificateFetch) list(ctx context.Context) error {
	src, err := f.Vendors.Qualys(ctx, f.plan.Revision, f.plan.Source)
	if err != nil {
		return err
	}
	if src.Certificates == nil {
		return &UserError{Message: fmt.Sprintf("connection %s has no gateway address, and Certificate View is behind it: set platform, or gatewayUrl", f.plan.Source)}
	}
	q := qualys.CertificateQuery{
		Version: f.setup.Schedule.Certificates.Version, Page: int(f.page), Size: qualys.MaxCertificatePage, Type: partTypes[f.part], Details: f.metadata() != "",
	}
	if f.plan.Sample > 0 {
		q.Size = min(q.Size, int(f.plan.Sample))
	}
	answer, _, err := src.Certificates.Certificates(ctx, q)
	var e *qualys.Error
	if f.part != partAll && errors.As(err, &e) && e.Status == http.StatusBadRequest { // no such filter: they come with all
		answer, err, f.calls = &qualys.CertificatePage{}, nil, 1
	}
	if err != nil {
		return err
	}
	f.calls += answer.Calls
	f.stage.ServerDate = answer.ServerDate
	// The list ends with an empty page; of the first parts nothing is lost when a
	// short one is their end.
	if answer.Listed == 0 || f.part != partAll && answer.Listed < q.Size {
		f.stage.CursorOut = int64(f.part+1) * partSize
		f.stage.Last = f.part == partAll && f.plan.Aside // what is looked at aside ends nothing
	}
	return f.records(ctx, answer.Results)
}

// metadata returns the name of the table for grades and ciphers, or "".
func (f *certificateFetch) metadata() string {
	if !f.setup.Schedule.Sections[certs.SectionMetadata] {
		return ""
	}
	name := certs.Table().Name
	return orElse(f.setup.Tables[name], name)
}

func (f *certificateFetch) key(fingerprint string) string {
	return contract.CertificateKey(f.plan.Source, fingerprint)
}

// records prepares the certificates of a page.
func (f *certificateFetch) records(ctx context.Context, results []qualys.CertificateResult) error {
	in := certs.Input{Related: f.setup.Schedule.Certificates.Related(), Table: f.metadata(), Renewal: f.setup.Schedule.Certificates.RenewalTracking}
	var err error
	if in.Hosts, err = f.hosts(ctx, results); err != nil {
		return err
	}
	known, err := f.known(ctx, results)
	if err != nil {
		return err
	}
	var lost []string // that were imported once
	for i := range results {
		r := &results[i]
		if r.Err != nil {
			continue
		}
		key := f.key(r.Fingerprint)
		if in.Imported(r.Certificate) > 0 {
			known[key] = store.Certificate{}
		} else if _, ok := known[key]; ok {
			lost = append(lost, key)
		}
	}
	if f.written, err = f.links(ctx, lost); err != nil {
		return err
	}
	in.KeyOf = func(fingerprint string) string {
		if _, ok := known[f.key(fingerprint)]; ok {
			return f.key(fingerprint)
		}
		return ""
	}
	for i := range results {
		if err := f.record(&results[i], in, known); err != nil {
			return err
		}
	}
	return nil
}

// record prepares one certificate.
func (f *certificateFetch) record(r *qualys.CertificateResult, in certs.Input, known map[string]store.Certificate) error {
	rec := store.Staging{Key: f.key(r.Key()), Kind: record.KindCertificate, Class: certs.Class}
	rec.RefreshBefore = f.refreshBefore(rec.Key)
	body := &Body{Revision: f.setup.Revision, Decision: classify.Decision{Class: certs.Class, Rule: certificateRule}}
	switch {
	case r.Err != nil:
		rec.Outcome, rec.Reason = record.Failed, r.Err.Error()
		if was, ok := known[rec.Key]; ok && was.Key != "" { // it is there, whatever is wrong with it
			f.seen = append(f.seen, was)
		}
	case f.written[rec.Key].SysID != "": // its relations end, and in time it does
		in.Key, body.Name = rec.Key, r.Certificate.Title()
		parts := certs.Map(r.Certificate, in)
		if was := known[rec.Key]; was.Retired || was.Missed > 0 && was.SeenAt.Before(f.goneBefore()) {
			parts = *certs.Retired(&parts)
		}
		body.Parts, rec.PayloadDigest = &parts, record.Digest(&parts)
	case in.Imported(r.Certificate) == 0:
		body.Name = r.Certificate.Title()
		rec.Outcome, rec.Reason = record.Filtered, notImported
		if len(r.Certificate.Assets) == 0 {
			rec.Reason = notEvenKnown
		}
	default:
		c := r.Certificate
		in.Key, body.Name = rec.Key, c.Title()
		parts := certs.Map(c, in)
		body.Parts, rec.PayloadDigest = &parts, record.Digest(&parts)
		f.seen = append(f.seen, store.Certificate{Key: rec.Key, Name: c.Title(), Issuer: c.Issuer.CommonName, ValidTo: c.ValidTo, Hosts: int64(in.Imported(c))})
	}
	return f.add(rec, body)
}

func (f *certificateFetch) add(rec store.Staging, body *Body) error {
	var err error
	if rec.Body, err = f.Bodies.Encode(body); err != nil {
		return fmt.Errorf("certificate %s: %w", rec.Key, err)
	}
	f.stage.Records = append(f.stage.Records, rec)
	return nil
}

// known returns the certificates of earlier pages and runs that the page's name as
// their issuers, or that are on the page.
func (f *certificateFetch) known(ctx context.Context, results []qualys.CertificateResult) (map[string]store.Certificate, error) {
	var keys []string
	for i := range results {
		r := &results[i]
		keys = append(keys, f.key(r.Key()))
		if r.Err == nil {
			keys = append(keys, f.key(r.Certificate.Issuer.Fingerprint), f.key(r.Certificate.Root.Fingerprint))
		}
	}
	slices.Sort(keys)
	return f.Store.CertificatesOf(ctx, contract.TriedSchedule(f.plan.Schedule), f.plan.Target, slices.Compact(keys))
}

// refreshBefore spreads the renewal of unchanged certificates as preparer does.
func (f *certificateFetch) refreshBefore(key string) time.Time {
	h := fnv.New64a()
	fmt.Fprint(h, key)
	return (&preparer{setup: f.setup, now: f.Now().UTC()}).refreshBefore(int64(h.Sum64() >> 1))
}
