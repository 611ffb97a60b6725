package view

import (
	"fmt"
	"time"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Certificates prints certificates with the days that they have left.
func (p Printer) Certificates(list contract.CertificateList, now time.Time) {
	rows := make([][]string, 0, len(list.Certificates))
	for _, c := range list.Certificates {
		end, left := "unknown", ""
		if !c.ValidTo.IsZero() {
			end, left = c.ValidTo.UTC().Format(time.DateOnly), fmt.Sprintf("%d days", int(c.ValidTo.Sub(now)/(24*time.Hour)))
			if c.ValidTo.Before(now) {
				left = "expired"
			}
		}
		rows = append(rows, []string{end, left, c.Name, c.Issuer, fmt.Sprint(c.Hosts), c.Schedule, c.Key})
	}
	p.table([]string{"ENDS", "LEFT", "NAME", "ISSUER", "HOSTS", "SCHEDULE", "CERTIFICATE"}, rows)
	p.Line("")
	p.Line("%d of %d certificates", len(list.Certificates), list.Total)
	if list.Next != "" {
		p.Line("more: the same with --after '%s'", list.Next)
	}
}
