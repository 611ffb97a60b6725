//go:build faults

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"
)

// control calls the control API of a simulator and decodes the answer into out.
func (w *world) control(method, host, path, body string, out any) {
	w.t.Helper()
	tr := w.net.transport()
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://"+host+path, strings.NewReader(body))
	w.check(err)
	res, err := (&http.Client{Transport: tr}).Do(req)
	w.check(err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	w.check(err)
	require.Equal(w.t, http.StatusOK, res.StatusCode/100*100, "%s %s: %s", method, path, data)
	if out != nil {
		w.check(json.Unmarshal(data, out))
	}
}

// digest identifies what the CMDB holds.
func (w *world) digest() string {
	w.t.Helper()
	var d struct {
		Digest string `json:"digest"`
	}
	w.control(http.MethodGet, serviceNowHost, "/_sim/digest", "", &d)
	require.NotEmpty(w.t, d.Digest)
	return d.Digest
}

// entry is a line of a simulator's log.
type entry struct {
	Endpoint string   `json:"endpoint"`
	Status   int      `json:"status"`
	Notes    []string `json:"notes"`
}

func (w *world) log(host string) []entry {
	w.t.Helper()
	var out []entry
	w.control(http.MethodGet, host, "/_sim/log", "", &out)
	return out
}

// table reads all rows of a table as an administrator would.
func (w *world) table(name, query string) []map[string]string {
	w.t.Helper()
	var out struct {
		Result []map[string]string `json:"result"`
	}
	w.admin(http.MethodGet, fmt.Sprintf("/api/now/table/%s?sysparm_limit=10000&sysparm_exclude_reference_link=true&sysparm_query=%s", name, url.QueryEscape(query)), &out)
	return out.Result
}

func (w *world) deleteRow(table, id string) {
	w.t.Helper()
	w.admin(http.MethodDelete, "/api/now/table/"+table+"/"+id, nil)
}

func (w *world) admin(method, path string, out any) {
	w.t.Helper()
	tr := w.net.transport()
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://"+serviceNowHost+path, nil)
	w.check(err)
	req.SetBasicAuth(user, password)
	req.Header.Set("Accept", "application/json")
	res, err := (&http.Client{Transport: tr}).Do(req)
	w.check(err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	w.check(err)
	require.Less(w.t, res.StatusCode, 300, "%s %s: %s", method, path, data)
	if out != nil {
		w.check(json.Unmarshal(data, out))
	}
}
