package golden_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

func TestGoldenAssetsBecomeWhatTheVendorsDocumentsSay(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, "")
	for _, c := range load(t) {
		t.Run(strings.TrimSuffix(c.file, ".yaml")+"/"+c.Name, func(t *testing.T) {
			t.Parallel()
			raw, err := c.json()
			require.NoError(t, err)
			got := p.run(t, &c, gateway(t, raw))
			for _, d := range c.judge(got.differences(&c.Want)) {
				t.Error(d)
			}
		})
	}
}

// judge returns what fails a case that differs from what it wants. One that is
// marked must differ: a mended case must not stay marked.
func (c *goldenCase) judge(differences []string) []string {
	switch {
	case c.Todo != "" && len(differences) == 0:
		return []string{fmt.Sprintf("%s: %q holds now; delete its todo", c.file, c.Name)}
	case c.Todo != "":
		return nil
	}
	return differences
}

// pipeline is the default way from an answer to the parts of a record.
type pipeline struct {
	rules   *classify.Set
	mapping *mapping.Map
}

func newPipeline(t *testing.T, api string) *pipeline {
	t.Helper()
	rules, err := classify.Compile(classify.For(api, classify.Tables{}))
	require.NoError(t, err)
	m, err := mapping.Extended()
	require.NoError(t, err)
	return &pipeline{rules: rules, mapping: m}
}

// outcome is what became of an asset: a reason, or parts.
type outcome struct {
	reason string
	rule   string
	parts  record.Parts
}

// run does what staging a page does with one asset.
func (p *pipeline) run(t *testing.T, c *goldenCase, client qualys.Reader) outcome {
	t.Helper()
	page, _, err := client.Search(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.Len(t, page.Results, 1)
	r := page.Results[0]
	if r.Err != nil {
		return outcome{reason: r.Err.Error()}
	}
	clean := asset.CleanseNamed(r.Asset, asset.Naming{})
	in := classify.InputsOf(r.Asset, clean)
	d := p.rules.Classify(&in, classify.Options{IPOnly: c.IPOnly})
	if d.Skip != "" {
		return outcome{reason: d.Skip}
	}
	sections, known := map[string]bool{}, p.mapping.Sections()
	for _, s := range c.Sections {
		_, ok := known[s]
		require.True(t, ok, "there is no section %q", s)
		sections[s] = true
	}
	return outcome{rule: d.Rule, parts: p.mapping.Apply(mapping.Input{
		Connection: "corp", Asset: r.Asset, Clean: clean, Class: d.Class, Sections: sections, DiscoverySource: "SG-Qualys",
		Plugins: set(c.Plugins), Listed: map[string]map[string]bool{"tags": set(c.Tags)},
	})}
}

func set(names []string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

// differences lists what is not as wanted, in the order of the expectation.
func (o *outcome) differences(want *expectation) []string {
	if want.Skip != "" {
		if o.reason == "" {
			return []string{fmt.Sprintf("became %s by rule %s, must be skipped: %s", o.parts.Native.Class, o.rule, want.Skip)}
		}
		if !strings.Contains(o.reason, want.Skip) {
			return []string{fmt.Sprintf("skipped because of %q, want %q", o.reason, want.Skip)}
		}
		return nil
	}
	if o.reason != "" {
		return []string{fmt.Sprintf("skipped (%s), want class %s", o.reason, want.Class)}
	}
	var out []string
	differ := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	main := o.parts.Native
	if main.Class != want.Class {
		differ("class %s by rule %s, want %s", main.Class, o.rule, want.Class)
	}
	if o.parts.UpdateOnly != want.UpdateOnly {
		differ("updateOnly %t, want %t", o.parts.UpdateOnly, want.UpdateOnly)
	}
	columns := o.attributes()
	for _, d := range missing(columns, want.Attributes) {
		differ("main CI: %s; it has %v", d, columns)
	}
	found := o.byClass()
	for _, class := range sortedKeys(want.Items) {
		if n := len(found[class]); n != want.Items[class] {
			differ("%d items of %s, want %d: %v", n, class, want.Items[class], found[class])
		}
	}
	rows := o.byTable()
	for _, table := range sortedKeys(want.Tables) {
		if n := len(rows[table]); n != want.Tables[table] {
			differ("%d rows of %s, want %d: %v", n, table, want.Tables[table], rows[table])
		}
	}
	for _, class := range sortedKeys(want.Item) {
		have := slices.Concat(found[class], rows[class])
		for _, w := range want.Item[class] {
			if !slices.ContainsFunc(have, func(cols map[string]string) bool { return len(missing(cols, w)) == 0 }) {
				differ("no %s has %v: %v", class, w, have)
			}
		}
	}
	relations := o.relations()
	for _, w := range want.Relations {
		if !slices.Contains(relations, w) {
			differ("no relation %q: %q", w, relations)
		}
	}
	return out
}

// attributes are the main CI's columns and, by column, the names it refers to.
func (o *outcome) attributes() map[string]string {
	out := columnsOf(o.parts.Native.Columns)
	for _, r := range o.parts.References {
		if r.Item == o.parts.Native.Key {
			out[r.Column] = r.Name
		}
	}
	return out
}

func (o *outcome) byClass() map[string][]map[string]string {
	out := map[string][]map[string]string{}
	for _, it := range slices.Concat(o.parts.Dependents, o.parts.Shared) {
		out[it.Class] = append(out[it.Class], columnsOf(it.Columns))
	}
	return out
}

func (o *outcome) byTable() map[string][]map[string]string {
	out := map[string][]map[string]string{}
	for _, r := range slices.Concat(o.parts.Native.Lookup, o.parts.Native.Related, o.parts.Tables) {
		out[r.Table] = append(out[r.Table], columnsOf(r.Columns))
	}
	return out
}

// relations are "parent-class type child-class".
func (o *outcome) relations() []string {
	class := map[string]string{o.parts.Native.Key: o.parts.Native.Class}
	for _, it := range slices.Concat(o.parts.Dependents, o.parts.Shared) {
		class[it.Key] = it.Class
	}
	var out []string
	for _, r := range o.parts.Relations {
		out = append(out, class[r.Parent]+" "+r.Type+" "+class[r.Child])
	}
	return out
}

func columnsOf(list []cmdb.Column) map[string]string {
	out := map[string]string{}
	for _, c := range list {
		out[c.Name] = c.Value
	}
	return out
}

// missing lists the wanted values that columns do not have.
func missing(columns map[string]string, want map[string]any) []string {
	var out []string
	for _, name := range sortedKeys(want) {
		got, there := columns[name]
		w, err := text(want[name])
		switch {
		case err != nil:
			out = append(out, err.Error())
		case want[name] == nil && there:
			out = append(out, fmt.Sprintf("%s is %q, must be absent", name, got))
		case want[name] != nil && !there:
			out = append(out, fmt.Sprintf("%s is absent, want %q", name, w))
		case want[name] != nil && got != w:
			out = append(out, fmt.Sprintf("%s is %q, want %q", name, got, w))
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// vendor answers a client's calls without a network.
type vendor func(r *http.Request) (int, string)

func (v vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	code, body := v(r)
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// gateway is a client of a CSAM gateway that has one asset.
func gateway(t *testing.T, raw []byte) qualys.Reader {
	t.Helper()
	var page bytes.Buffer
	fmt.Fprintf(&page, `{"responseMessage":"Valid API Access","count":1,"responseCode":"SUCCESS","lastSeenAssetId":null,"hasMore":0,"assetListData":{"asset":[%s]}}`, raw)
	client, err := qualys.New(qualys.Config{
		Name: "corp", APIURL: "https://qualysapi.example", GatewayURL: "https://gateway.example", Username: "user", Password: "secret",
		Transport: vendor(func(r *http.Request) (int, string) {
			if strings.HasSuffix(r.URL.Path, "/auth") {
				return http.StatusCreated, "aGVhZA.Ym9keQ.c2ln"
			}
			return http.StatusOK, page.String()
		}),
	})
	require.NoError(t, err)
	return client
}
