package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/workflows/contract"
)

// hasCertificates is the class of certificates, as shown.
const hasCertificates = "certificate class"

const (
	blocksCertificates = "schedules of kind certificates"
	giveCertView       = "switch Certificate View on for the subscription and the user"
)

// certificates tests whether the account may read certificates. Only a run of
// certificates ends for want of it.
func (c *checklist) certificates(ctx context.Context, src *activities.Source, required bool) {
	if src.Certificates == nil {
		c.lacking(hasCertView, errors.New("the connection has no gateway address"), required, "set platform, or gatewayUrl")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, _, err := src.Certificates.Certificates(ctx, qualys.CertificateQuery{Size: 1})
	if err != nil {
		c.lacking(hasCertView, err, required, giveCertView)
		return
	}
	c.ok(hasCertView, "ok")
}

// certificateClass tests whether the instance has the class of certificates and a
// rule that identifies them, by asking IRE about one without writing it.
func (c *checklist) certificateClass(ctx context.Context, client *servicenow.Client, required bool) {
	const remedy = "install CMDB CI Class Models from the store (1.3 or later), which brings " + certs.Class
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p := &payload.Payload{ID: "preflight", Items: []payload.Item{{Role: payload.RoleMain, Owner: "qbridge-preflight/certificate", Item: cmdb.Item{
		Key: "qbridge-preflight/certificate", Class: certs.Class,
		Columns: []cmdb.Column{{Name: "name", Value: "qbridge-preflight-certificate"}, {Name: "fingerprint", Value: "qbridge-preflight"}},
	}}}}
	answer, _, err := client.Query(ctx, p, servicenow.IREOptions{})
	switch {
	case err == nil && len(answer.Items[0].Errors) > 0:
		m := answer.Items[0].Errors[0]
		err = fmt.Errorf("%s: %s", m.Code, m.Text)
	case err == nil:
		c.ok(hasCertificates, certs.Class+" has an identification rule")
		return
	}
	c.lacking(hasCertificates, err, required, remedy)
}

// lacking adds the line of something without which no run of certificates works,
// and every other run does.
func (c *checklist) lacking(capability string, err error, required bool, remedy string) {
	c.add(contract.Check{
		Capability: capability, Warning: !required, Message: err.Error(), Blocks: blocksCertificates, Remedy: remedy, Transient: transient(err),
	})
}
