package qualys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/tagging"
)

// desk answers the calls about tags of a test in order and keeps what was asked;
// "" is an answer that gets lost.
type desk struct {
	calls   []string
	bodies  []string
	answers []string
	status  int
}

func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	d.calls, d.bodies = append(d.calls, strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/qps/rest/2.0/"), "/am/tag")), append(d.bodies, body)
	answer := d.answers[min(len(d.calls), len(d.answers))-1]
	if answer == "" {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: max(d.status, 200), Header: http.Header{"X-Ratelimit-Towait-Sec": {"9"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func tagDesk(t *testing.T, answers ...string) (*qualys.AMClient, *desk) {
	t.Helper()
	d := &desk{answers: answers}
	return am(t, qualys.FormatXML, d), d
}

// tagList is an answer with tags, each the inside of Tag.
func tagList(tags ...string) string {
	if len(tags) == 0 {
		return `{"ServiceResponse":{"responseCode":"SUCCESS","count":0}}`
	}
	list := make([]string, len(tags))
	for i, t := range tags {
		list[i] = `{"Tag":{` + t + `}}`
	}
	return fmt.Sprintf(`{"ServiceResponse":{"responseCode":"SUCCESS","count":%d,"hasMoreRecords":"false","data":[%s]}}`, len(tags), strings.Join(list, ","))
}

const (
	eol      = `"id":93561001,"name":"EOL Servers","parentTagId":7588415,"color":"#FF8800","ruleText":"operatingSystem.lifecycle.stage:` + "`EOL`" + `","ruleType":"GLOBAL_ASSET_VIEW","criticalityScore":4,"description":"d"`
	eolOther = `"id":5,"name":"EOL Servers","parentTagId":1`
)

func eolTag() qualys.Tag {
	return qualys.Tag{
		ID: 93561001, Parent: 7588415, Name: "EOL Servers", RuleType: "GLOBAL_ASSET_VIEW", RuleText: "operatingSystem.lifecycle.stage:`EOL`", Color: "#FF8800", Description: "d", Criticality: 4,
	}
}

func TestTagsAreReadWithTheirRules(t *testing.T) {
	t.Parallel()
	c, _ := tagDesk(t, tagList(eol, `"id":93561002,"name":17,"criticalityScore":"3"`))
	got, err := c.Tags(context.Background())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]qualys.Tag{eolTag(), {ID: 93561002, Name: "17", Criticality: 3}}, got))
	actual := qualys.ActualTags(got)
	require.Empty(t, cmp.Diff(tagging.Actual{ID: 93561001, Parent: 7588415, Description: "d", Face: tagging.Face{
		Name: "EOL Servers", RuleType: "GLOBAL_ASSET_VIEW", RuleText: "operatingSystem.lifecycle.stage:`EOL`", Color: "#FF8800", Criticality: 4,
	}}, actual[0]))
}

func TestATagIsLookedForBeforeItIsMade(t *testing.T) {
	t.Parallel()
	dup := `{"ServiceResponse":{"responseCode":"INVALID_REQUEST","responseErrorDetails":{"errorMessage":"Tag name already exists","errorResolution":"Choose another."}}}`
	for name, c := range map[string]struct {
		answers []string
		calls   string
		created bool
		kind    qualys.Kind
	}{
		"one that is there is taken":         {[]string{tagList(eol)}, "search", false, ""},
		"one that is not is made":            {[]string{tagList(eolOther), tagList(`"id":93561001,"name":"EOL Servers"`)}, "search create", true, ""},
		"an answer lost after the making":    {[]string{tagList(), "", tagList(eolOther, eol)}, "search create search", true, ""},
		"an answer lost before the making":   {[]string{tagList(), "", tagList(eolOther)}, "search create search", false, qualys.KindUnknownOutcome},
		"the search after it fails too":      {[]string{tagList(), "", ""}, "search create search", false, qualys.KindUnknownOutcome},
		"a cut answer":                       {[]string{tagList(), tagList(eol)[:90], tagList(eol)}, "search create search", true, ""},
		"HTML with 200":                      {[]string{tagList(), "<html>", tagList()}, "search create search", false, qualys.KindUnknownOutcome},
		"an answer without the tag":          {[]string{tagList(), tagList(), tagList(eol)}, "search create search", true, ""},
		"somebody else was faster":           {[]string{tagList(), dup, tagList(eol)}, "search create search", false, ""},
		"a refusal for another reason":       {[]string{tagList(), dup, tagList()}, "search create search", false, qualys.KindInvalidRequest},
		"a limit":                            {[]string{tagList(), failureJSON("LIMIT_EXCEEDED", "slow down")}, "search create", false, qualys.KindRateLimited},
		"no right to search":                 {[]string{failureJSON("UNAUTHORIZED", "no")}, "search", false, qualys.KindInvalidRequest},
		"an answer without a code":           {[]string{tagList(), `{"ServiceResponse":{}}`, tagList()}, "search create search", false, qualys.KindUnknownOutcome},
		"a search whose answer is not whole": {[]string{tagList(eol)[:60]}, "search", false, qualys.KindUnavailable},
	} {
		client, d := tagDesk(t, c.answers...)
		want := eolTag()
		want.ID = 0
		got, created, err := client.EnsureTag(context.Background(), want)
		require.Equal(t, c.calls, strings.Join(d.calls, " "), name)
		require.Equal(t, c.created, created, name)
		if c.kind == "" {
			require.NoError(t, err, name)
			require.Empty(t, cmp.Diff(eolTag(), got), name)
			continue
		}
		var e *qualys.Error
		require.True(t, errors.As(err, &e), "%s: %v", name, err)
		require.Equal(t, c.kind, e.Kind(), "%s: %v", name, err)
	}
}

func TestATagIsSentInTheDocumentedShape(t *testing.T) {
	t.Parallel()
	c, d := tagDesk(t, tagList(), tagList(`"id":1`))
	change := tagging.Change{Op: tagging.OpCreate, Description: "ours", Face: tagging.Face{Name: `O"Brien 😀`, RuleType: "GLOBAL_ASSET_VIEW", RuleText: "x:`a`", Color: "#FF8800", Criticality: 4}}
	_, created, err := c.EnsureTag(context.Background(), qualys.TagOf(change, 7588415))
	require.NoError(t, err)
	require.True(t, created)
	require.JSONEq(t, `{"ServiceRequest":{"preferences":{"limitResults":1000},"filters":{"Criteria":[{"field":"name","operator":"EQUALS","value":"O\"Brien 😀"}]}}}`, d.bodies[0])
	require.JSONEq(t, `{"ServiceRequest":{"data":{"Tag":{"name":"O\"Brien 😀","parentTagId":7588415,"ruleType":"GLOBAL_ASSET_VIEW","ruleText":"x:`+"`a`"+`","color":"#FF8800","description":"ours","criticalityScore":4}}}}`, d.bodies[1])
}

func TestATagIsChangedDeletedAndEvaluated(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func(*qualys.AMClient) error{
		`update/am/tag/7 {"data":{"Tag":{"name":"b"}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdateOf(tagging.Change{Op: tagging.OpRename, Face: tagging.Face{Name: "b"}}))
		},
		`update/am/tag/7 {"data":{"Tag":{"ruleText":"y","ruleType":"OS_REGEX"}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdateOf(tagging.Change{Op: tagging.OpRetire, Face: tagging.Face{RuleType: "OS_REGEX", RuleText: "y"}}))
		},
		`update/am/tag/7 {"data":{"Tag":{"color":"#000000"}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdateOf(tagging.Change{Op: tagging.OpRecolour, Face: tagging.Face{Color: "#000000"}}))
		},
		`update/am/tag/7 {"data":{"Tag":{"criticalityScore":5}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdateOf(tagging.Change{Op: tagging.OpScore, Face: tagging.Face{Criticality: 5}}))
		},
		`update/am/tag/7 {"data":{"Tag":{"children":{"set":{"TagSimple":[{"name":"x"}]}}}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdate{AddChildren: []string{"x"}})
		},
		`update/am/tag/7 {"data":{"Tag":{"children":{"remove":{"TagSimple":[{"id":8}]}}}}}`: func(c *qualys.AMClient) error {
			return c.UpdateTag(context.Background(), 7, qualys.TagUpdate{RemoveChildren: []int64{8}})
		},
		`delete/am/tag/7 `:   func(c *qualys.AMClient) error { return c.DeleteTag(context.Background(), 7) },
		`evaluate/am/tag/7 `: func(c *qualys.AMClient) error { return c.EvaluateTag(context.Background(), 7) },
	} {
		c, d := tagDesk(t, tagList(`"id":7`))
		require.NoError(t, do(c), want)
		body := ""
		if d.bodies[0] != "" {
			var sent map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(d.bodies[0]), &sent))
			var request any
			require.NoError(t, json.Unmarshal(sent["ServiceRequest"], &request))
			b, err := json.Marshal(request)
			require.NoError(t, err)
			body = string(b)
		}
		require.Equal(t, want, d.calls[0]+" "+body)

		for answer, kind := range map[string]qualys.Kind{
			"":                                     qualys.KindUnknownOutcome,
			"<html>":                               qualys.KindUnknownOutcome,
			tagList(`"id":7`)[:40]:                 qualys.KindUnknownOutcome,
			failureJSON("OBJECT_NOT_FOUND", "x"):   qualys.KindNotFound,
			failureJSON("INVALID_REQUEST", "rule"): qualys.KindInvalidRequest,
			failureJSON("LIMIT_EXCEEDED", "rate"):  qualys.KindRateLimited,
			failureJSON("INTERNAL_ERROR", "oops"):  qualys.KindUnknownOutcome,
			failureJSON("INVALID_CREDENTIALS", ""): qualys.KindUnauthorized,
		} {
			c, d := tagDesk(t, answer)
			var e *qualys.Error
			err := do(c)
			require.True(t, errors.As(err, &e), "%s: %v", want, err)
			require.Equal(t, kind, e.Kind(), "%s: %v", want, err)
			require.Len(t, d.calls, 1, "nothing is repeated")
			require.Equal(t, kind == qualys.KindRateLimited, e.RetryAfter > 0)
		}
	}
}

func TestAWrongCallAboutATagIsNotSent(t *testing.T) {
	t.Parallel()
	c, d := tagDesk(t, tagList())
	ctx := context.Background()
	_, _, noName := c.EnsureTag(ctx, qualys.Tag{Name: " "})
	_, _, long := c.EnsureTag(ctx, qualys.Tag{Name: strings.Repeat("é", 1025)})
	for want, err := range map[string]error{
		"no name":                   noName,
		"1025 characters":           long,
		"added or removed":          c.UpdateTag(ctx, 7, qualys.TagUpdate{AddChildren: []string{"a"}, RemoveChildren: []int64{1}}),
		"nothing is to be changed":  c.UpdateTag(ctx, 7, qualys.TagUpdateOf(tagging.Change{Op: tagging.OpDelete})),
		"the name has 1025":         c.UpdateTag(ctx, 7, qualys.TagUpdate{Name: strings.Repeat("x", 1025)}),
		"0 is not the id of a tag":  c.DeleteTag(ctx, 0),
		"-1 is not the id of a tag": c.EvaluateTag(ctx, -1),
	} {
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, d.calls)
}

func TestRefusedCredentialsAreNotTriedWithEachTag(t *testing.T) {
	t.Parallel()
	c, d := tagDesk(t, failureJSON("INVALID_CREDENTIALS", "Authentication failed "+password))
	for range 3 {
		err := c.DeleteTag(context.Background(), 7)
		require.ErrorContains(t, err, "Authentication failed")
		require.NotContains(t, err.Error(), password)
	}
	require.Len(t, d.calls, 1)
}

// torn is an answer that is whole and ends with an error, as one whose checksum is
// wrong.
type torn struct{ answer string }

func (x torn) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.MultiReader(strings.NewReader(x.answer), iotest.ErrReader(errors.New("gzip: invalid checksum")))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
}

func TestAnAnswerWithAWrongChecksumIsNoAnswer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, err := am(t, qualys.FormatJSON, torn{tagList(eol)}).Tags(ctx)
	require.ErrorContains(t, err, "cut off")
	var e *qualys.Error
	require.ErrorAs(t, am(t, qualys.FormatJSON, torn{tagList(eol)}).DeleteTag(ctx, 7), &e)
	require.Equal(t, qualys.KindUnknownOutcome, e.Kind())
	c, err := qualys.NewFO(qualys.Config{Name: "corp", APIURL: "https://portal.example", Username: user, Password: password, Transport: torn{simple("", added)}})
	require.NoError(t, err)
	_, _, err = c.AddIPs(ctx, qualys.AddIPs{Ranges: []string{"10.0.0.1"}, VM: true})
	require.ErrorAs(t, err, &e)
	require.Equal(t, qualys.KindUnknownOutcome, e.Kind())
}
