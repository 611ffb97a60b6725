package qualys

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/activities/transport"
)

// Tag is a tag of the subscription. Parent is 0 for a root.
type Tag struct {
	ID, Parent int64
	Name       string
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
	const op = "list tags"
	if err := c.login.holds(c.vendor.cfg.Now()); err != nil {
		return nil, false, err
	}
	defer func() { c.login.note(err, c.vendor.cfg.Now()) }()
	body, err := json.Marshal(map[string]*amRequest{"ServiceRequest": newAMRequest(tagPage, []amCriterion{{Field: "id", Operator: "GREATER", Value: strconv.FormatInt(last, 10)}})})
	if err != nil {
		return nil, false, fmt.Errorf("qualys: %s: %w", op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.vendor.cfg.APIURL+"/qps/rest/2.0/search/am/tag", bytes.NewReader(body))
	if err != nil {
		return nil, false, fmt.Errorf("qualys: %s: %w", op, err)
	}
	req.SetBasicAuth(c.vendor.cfg.Username, c.vendor.cfg.Password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := c.vendor.http.Do(req)
	if err != nil {
		return nil, false, c.vendor.failed(op, err)
	}
	defer func() { _ = res.Body.Close() }()
	meta := Meta{Status: res.StatusCode, Limits: transport.ParseLimits(res.Header, c.vendor.cfg.Now())}
	if res.StatusCode != http.StatusOK {
		return nil, false, c.refused(op, res, meta.Limits.Wait)
	}
	var answer struct {
		Response struct {
			Code  text `json:"responseCode"`
			More  text `json:"hasMoreRecords"`
			Error struct {
				Message text `json:"errorMessage"`
			} `json:"responseErrorDetails"`
			Data []struct {
				Tag struct {
					ID     integer `json:"id"`
					Name   text    `json:"name"`
					Parent integer `json:"parentTagId"`
				} `json:"Tag"`
			} `json:"data"`
		} `json:"ServiceResponse"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxTagPage)).Decode(&answer); err != nil {
		return nil, false, unreadable(op, err)
	}
	if code := string(answer.Response.Code); !strings.EqualFold(code, "SUCCESS") {
		return nil, false, &Error{Op: op, Status: res.StatusCode, Code: c.clean(code), Message: c.clean(string(answer.Response.Error.Message)), kind: amKind(code)}
	}
	for _, d := range answer.Response.Data {
		list = append(list, Tag{ID: int64(d.Tag.ID), Parent: int64(d.Tag.Parent), Name: string(d.Tag.Name)})
	}
	return list, strings.EqualFold(string(answer.Response.More), "true"), nil
}

// maxTagPage bounds a page of tags.
const maxTagPage = 16 << 20
