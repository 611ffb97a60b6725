package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/load/pipeline"
)

// A program that is measured is a process of its own, this binary with -child: what
// the system counts for the process is then all it cost. It prints one line.

// result is the line that a child prints.
type result struct {
	Assets  int64   `json:"assets"`
	Written int64   `json:"written"`
	Skipped int64   `json:"skipped"`
	Failed  int64   `json:"failed"`
	Posts   int64   `json:"posts"`
	Seconds float64 `json:"seconds"`
	Allocs  float64 `json:"allocs,omitempty"` // per asset
}

// Names of the children beside the flows of the pipeline.
const (
	childFloor     = "floor"     // pages are asked for and thrown away
	childTransform = "transform" // one page of a file, over and over, no network
)

// gcPercent is how the worker collects garbage.
const gcPercent = 50

// child is the program that is measured.
func child(ctx context.Context, name string, args []string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	cfg, file, pages, sections := pipeline.Config{}, "", 0, ""
	f.IntVar(&cfg.Limit, "limit", 0, "assets to read; 0: all")
	f.IntVar(&cfg.Rules, "rules", 0, "number of rules")
	f.BoolVar(&cfg.Whole, "whole", false, "ask for sections that nothing maps")
	f.StringVar(&sections, "off", "", "sections that are switched off")
	f.StringVar(&file, "page", "", "file with the page of "+childTransform)
	f.IntVar(&pages, "pages", 1, "how often "+childTransform+" takes the page")
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg.Sections = map[string]bool{}
	for s := range strings.SplitSeq(sections, ",") {
		if s != "" {
			cfg.Sections[s] = false
		}
	}
	var r result
	var err error
	began := time.Now()
	switch name {
	case childTransform:
		r, err = transform(ctx, cfg, file, pages)
	case childFloor:
		r, err = floor(ctx, cfg.Limit)
	default:
		r, err = flow(ctx, cfg, name)
	}
	if err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// flow runs a flow of the pipeline between the simulators whose line is on
// standard input.
func flow(ctx context.Context, cfg pipeline.Config, name string) (result, error) {
	ends, err := given()
	if err != nil {
		return result{}, err
	}
	p, err := pipeline.New(ends, cfg)
	if err != nil {
		return result{}, err
	}
	run, err := p.Named(name)
	if err != nil {
		return result{}, err
	}
	if err := run(ctx); err != nil {
		return result{}, err
	}
	return resultOf(p), nil
}

func resultOf(p *pipeline.Pipeline) result {
	return result{Assets: p.Assets.Load(), Written: p.Written.Load(), Skipped: p.Skipped.Load(), Failed: p.Failed.Load(), Posts: p.Posts.Load()}
}

func given() (pipeline.Ends, error) {
	line, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	if err != nil {
		return pipeline.Ends{}, err
	}
	return endsOf(string(line))
}

// transform takes a page from a file through everything between the network and
// the network: decode, cleanse, classify, map, digest, cut, encode. The answers to
// its posts are empty.
func transform(ctx context.Context, cfg pipeline.Config, file string, pages int) (result, error) {
	page, err := os.ReadFile(file)
	if err != nil {
		return result{}, err
	}
	p, err := pipeline.New(pipeline.Ends{
		GatewayURL: "http://qualys.invalid", QualysUser: "u", QualysPassword: "p",
		ServiceNowURL: "http://servicenow.invalid", ServiceNowUser: "u", ServiceNowPassword: "p", DiscoverySource: "SG-Qualys",
		Base: canned(page),
	}, cfg)
	if err != nil {
		return result{}, err
	}
	one := func() error {
		got, err := p.Fetch(ctx, 0)
		if err != nil {
			return err
		}
		return p.Write(ctx, p.Prepare(got))
	}
	if err := one(); err != nil { // what is built once is built now
		return result{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	assets := p.Assets.Load()
	for range pages {
		if err := one(); err != nil {
			return result{}, err
		}
	}
	runtime.ReadMemStats(&after)
	r := resultOf(p)
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(max(r.Assets-assets, 1))
	return r, nil
}

// canned answers every search with the same page and every post with nothing.
type canned []byte

// RoundTrip implements http.RoundTripper.
func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	body, status := []byte(`{"result":{"hasError":false,"hasWarning":false,"items":[],"relations":[]}}`), http.StatusOK
	switch {
	case strings.HasSuffix(req.URL.Path, "/auth"):
		body, status = []byte("eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.x"), http.StatusCreated
	case strings.Contains(req.URL.Path, "/search/"):
		body = c
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

var cursorPattern = regexp.MustCompile(`"lastSeenAssetId":(\d+),"hasMore":(\d)`)

// floor asks for the pages and throws them away: what HTTP alone costs. Only the
// first buffer of each page is looked at, for the cursor.
func floor(ctx context.Context, limit int) (result, error) {
	ends, err := given()
	if err != nil {
		return result{}, err
	}
	token, err := get(ctx, ends.GatewayURL+"/auth", "", url.Values{"username": {ends.QualysUser}, "password": {ends.QualysPassword}, "token": {"true"}}, nil)
	if err != nil {
		return result{}, err
	}
	var r result
	buf := make([]byte, 64<<10)
	for cursor := "0"; ; {
		head, err := get(ctx, ends.GatewayURL+"/rest/2.0/search/am/asset?pageSize=300&lastSeenAssetId="+cursor, string(token), nil, buf)
		if err != nil {
			return r, err
		}
		m := cursorPattern.FindSubmatch(head)
		if m == nil {
			return r, errors.New("floor: a page without a cursor")
		}
		r.Assets += 300
		if string(m[2]) == "0" || limit > 0 && r.Assets >= int64(limit) {
			return r, nil
		}
		cursor = string(m[1])
	}
}

// get posts and reads the answer through buf; it returns what came first.
func get(ctx context.Context, address, token string, form url.Values, buf []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if token == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("floor: %s: status %d", req.URL.Path, res.StatusCode)
	}
	if buf == nil {
		return io.ReadAll(io.LimitReader(res.Body, 1<<20))
	}
	n, err := io.ReadAtLeast(res.Body, buf, 512)
	if err != nil {
		return nil, err
	}
	head := bytes.Clone(buf[:min(n, 512)])
	for err == nil {
		_, err = res.Body.Read(buf)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head, nil
}
