package qualys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// Tag is a tag of the subscription. Parent is 0 for a root.
type Tag struct {
	ID, Parent  int64
	Name        string
	RuleType    string // STATIC, GLOBAL_ASSET_VIEW …
	RuleText    string
	Provider    string // of CLOUD_ASSET
	Color       string // #RRGGBB
	Description string
	Criticality int // 1 to 5, 0 when the answer has none
}

// tagPage is how many tags one call asks for, maxTags how many a subscription may
// have before something must be wrong.
const (
	tagPage = 1000
	maxTags = 200_000
)

// Tags reads all tags of the subscription.
//
// Qualys Asset Management & Tagging API v2: POST /qps/rest/2.0/search/am/tag, by
// ascending id. Errors come with status 200 and a responseCode; a user without the
// tagging module is refused (KindInvalidRequest or KindUnauthorized).
func (c *AMClient) Tags(ctx context.Context) ([]Tag, error) {
	var out []Tag
	for last := int64(0); ; {
		list, more, err := c.tagsAfter(ctx, last)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
		if !more || len(list) == 0 {
			return out, nil
		}
		next := list[len(list)-1].ID
		if next <= last || len(out) > maxTags {
			return nil, unreadable("list tags", fmt.Errorf("the list of tags does not end"))
		}
		last = next
	}
}

func (c *AMClient) tagsAfter(ctx context.Context, last int64) (list []Tag, more bool, err error) {
	body := newAMRequest(tagPage, []amCriterion{{Field: "id", Operator: "GREATER", Value: strconv.FormatInt(last, 10)}})
	return c.tagCall(ctx, "list tags", "/qps/rest/2.0/search/am/tag", body, false)
}

// maxTagPage bounds a page of tags.
const maxTagPage = 16 << 20

// tagAnswer is the answer to a call about tags.
type tagAnswer struct {
	Response struct {
		Code  text `json:"responseCode"`
		More  text `json:"hasMoreRecords"`
		Error struct {
			Message    text `json:"errorMessage"`
			Resolution text `json:"errorResolution"`
		} `json:"responseErrorDetails"`
		Data []struct {
			Tag wireTagFull `json:"Tag"`
		} `json:"data"`
	} `json:"ServiceResponse"`
}

type wireTagFull struct {
	ID          integer `json:"id"`
	Name        text    `json:"name"`
	Parent      integer `json:"parentTagId"`
	RuleType    text    `json:"ruleType"`
	RuleText    text    `json:"ruleText"`
	Provider    text    `json:"provider"`
	Color       text    `json:"color"`
	Description text    `json:"description"`
	Criticality integer `json:"criticalityScore"`
}

func (w *wireTagFull) tag() Tag {
	return Tag{
		ID: int64(w.ID), Parent: int64(w.Parent), Name: string(w.Name), RuleType: string(w.RuleType), RuleText: string(w.RuleText), Provider: string(w.Provider),
		Color: string(w.Color), Description: string(w.Description), Criticality: int(w.Criticality),
	}
}

// tagCall makes one call about tags, always in JSON. writes marks those that change
// something: when their answer is lost, nobody knows whether they did. body nil
// sends none.
func (c *AMClient) tagCall(ctx context.Context, op, path string, body any, writes bool) (list []Tag, more bool, err error) {
	if err := c.login.holds(c.vendor.cfg.Now()); err != nil {
		return nil, false, err
	}
	defer func() {
		if writes {
			err = doubt(err)
		}
		c.login.note(err, c.vendor.cfg.Now())
	}()
	var raw []byte
	if body != nil {
		if raw, err = json.Marshal(map[string]any{"ServiceRequest": body}); err != nil {
			return nil, false, fmt.Errorf("qualys: %s: %w", op, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.vendor.cfg.APIURL+path, bytes.NewReader(raw))
	if err != nil {
		return nil, false, fmt.Errorf("qualys: %s: %w", op, err)
	}
	req.SetBasicAuth(c.vendor.cfg.Username, c.vendor.cfg.Password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := c.vendor.http.Do(req)
	if err != nil && writes {
		return nil, false, c.vendor.lost(op, err)
	}
	if err != nil {
		return nil, false, c.vendor.failed(op, err)
	}
	defer func() { _ = res.Body.Close() }()
	wait := transport.ParseLimits(res.Header, c.vendor.cfg.Now()).Wait
	if res.StatusCode != http.StatusOK {
		return nil, false, c.refused(op, res, wait)
	}
	var answer tagAnswer
	in := io.LimitReader(res.Body, maxTagPage)
	if err := json.NewDecoder(in).Decode(&answer); err != nil {
		return nil, false, unreadable(op, err)
	}
	if err := drain(op, in); err != nil {
		return nil, false, err
	}
	if code := string(answer.Response.Code); !strings.EqualFold(code, "SUCCESS") {
		return nil, false, c.tagRefusal(op, res.StatusCode, code, &answer, wait)
	}
	for i := range answer.Response.Data {
		list = append(list, answer.Response.Data[i].Tag.tag())
	}
	return list, strings.EqualFold(string(answer.Response.More), "true"), nil
}

// tagRefusal is the error of an answer with status 200 that refuses.
func (c *AMClient) tagRefusal(op string, status int, code string, answer *tagAnswer, wait time.Duration) error {
	if code == "" {
		return unreadable(op, errors.New("the answer has no responseCode"))
	}
	why := &answer.Response.Error
	e := &Error{Op: op, Status: status, Code: c.clean(code), Message: c.clean(string(why.Message + " " + why.Resolution)), kind: amKind(code)}
	if e.kind == KindRateLimited {
		e.RetryAfter = wait
	}
	return e
}
