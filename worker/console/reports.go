package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/worker/report"
)

func (c *Console) reports(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, "reports", "Reports", report.All())
}

// report shows a report, or writes it as a file: /reports/classes.csv.
func (c *Console) report(w http.ResponseWriter, r *http.Request) {
	id, format, _ := strings.Cut(r.PathValue("id"), ".")
	rep, ok := report.ByID(id)
	if !ok || (format != "" && format != "csv" && format != "json") {
		c.fail(w, r, &apiError{Status: http.StatusNotFound, Message: "there is no report " + r.PathValue("id"), Remedy: "the page Reports lists them; .csv or .json behind the name exports one"})
		return
	}
	req := report.Request{Schedule: r.URL.Query().Get("schedule")}
	if days, err := strconv.Atoi(r.URL.Query().Get("days")); err == nil && days > 0 && days < 36500 {
		req.Days = days
	}
	if format != "" {
		c.exportReport(w, r, &rep, req, format)
		return
	}
	shown := c.opts.Reports.Get(r.Context(), rep, req)
	if shown.Err != nil {
		c.fail(w, r, shown.Err)
		return
	}
	if r.Header.Get("HX-Request") != "" {
		if shown.Ready {
			w.Header().Set("HX-Refresh", "true")
		}
		c.part(w, r, "report", "report-live", shown)
		return
	}
	c.show(w, r, "report", rep.Title, shown)
}

// rowsBetween is how many rows are written between two looks at the clock of the
// connection.
const rowsBetween = 500

// exportReport streams a report: it is made while it is written, so that its size
// does not matter. A failure in the middle breaks the connection: half a file must
// not look like a whole one.
func (c *Console) exportReport(w http.ResponseWriter, r *http.Request, rep *report.Report, req report.Request, format string) {
	h := w.Header()
	h.Set("Content-Disposition", `attachment; filename="qbridge-`+rep.ID+"-"+c.opts.Now().UTC().Format("20060102")+"."+format+`"`)
	h.Set("Content-Type", map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json"}[format])
	make := report.NewJSON
	if format == "csv" {
		make = report.NewCSV
	}
	out, err := make(w, rep)
	connection := http.NewResponseController(w)
	n := 0
	if err == nil {
		err = rep.Rows(r.Context(), c.opts.Source, req, func(row []string) error {
			if n++; n%rowsBetween == 1 {
				_ = connection.SetWriteDeadline(time.Now().Add(time.Minute)) // not every connection has one
			}
			return out.Row(row)
		})
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		c.opts.Log.Error().Err(err).Str("report", rep.ID).Str("by", access.From(r.Context()).Name).Msg("report broken off")
		panic(http.ErrAbortHandler)
	}
}
