package qualys

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	fast "github.com/goccy/go-json"
)

// maxAsset bounds one asset: the largest real ones are hosts with thousands of
// packages.
const maxAsset = 8 << 20

// decodePage reads the envelope of search and get as a stream, asset by asset,
// so that memory is bounded by the largest asset and not by the page. The
// standard library's decoder frames the assets: it is strict about untrusted
// bytes and an error for anything that is cut off. What it has checked is then
// read by goccy/go-json, which takes less than half the time.
func decodePage(r io.Reader, page *Page) error {
	const op = "search assets"
	e := pageEnvelope{page: page, r: r, dec: json.NewDecoder(r)}
	if err := delim(e.dec, '{'); err != nil {
		return unreadable(op, err)
	}
	for e.dec.More() {
		key, err := e.dec.Token()
		if err != nil {
			return unreadable(op, err)
		}
		if err := e.field(key.(string)); err != nil { // a key is always a string
			return err
		}
	}
	if err := delim(e.dec, '}'); err != nil {
		return unreadable(op, err)
	}
	if err := envelope(op, e.code, e.message); err != nil {
		return err
	}
	if !e.sawList && e.code == "" {
		return unreadable(op, errors.New("the answer has neither assets nor a responseCode"))
	}
	if !e.sawMore && len(page.Results) > 1 { // one asset is the answer of get
		return unreadable(op, errors.New("the answer does not say whether there are more assets"))
	}
	page.Count = len(page.Results)
	page.HasMore = e.more
	for i := range page.Results {
		page.Next = max(page.Next, page.Results[i].ID)
	}
	page.Next = max(page.Next, e.next)
	return nil
}

// pageEnvelope collects the fields around the assets.
type pageEnvelope struct {
	page          *Page
	r             io.Reader
	dec           *json.Decoder // of r
	code, message string
	next          int64
	more          bool
	sawList       bool
	sawMore       bool
}

func (e *pageEnvelope) field(key string) error {
	const op = "search assets"
	var err error
	dec := e.dec
	switch key {
	case "assetListData":
		return e.list()
	case "responseCode":
		err = dec.Decode((*text)(&e.code))
	case "responseMessage":
		err = dec.Decode((*text)(&e.message))
	case "lastSeenAssetId":
		err = dec.Decode((*integer)(&e.next))
	case "hasMore":
		e.sawMore = true
		err = dec.Decode((*flag)(&e.more))
	default:
		var skip json.RawMessage
		err = dec.Decode(&skip)
	}
	if err != nil {
		return unreadable(op, fmt.Errorf("%s: %w", key, err))
	}
	return nil
}

// list reads {"asset":[…]}, null, or an empty object.
func (e *pageEnvelope) list() error {
	const op = "search assets"
	tok, err := e.dec.Token()
	if err != nil {
		return unreadable(op, err)
	}
	e.sawList = true
	if tok == nil {
		return nil
	}
	if tok != json.Delim('{') {
		return unreadable(op, errors.New("assetListData is not an object"))
	}
	for e.dec.More() {
		key, err := e.dec.Token()
		if err != nil {
			return unreadable(op, err)
		}
		if key != "asset" {
			var skip json.RawMessage
			if err := e.dec.Decode(&skip); err != nil {
				return unreadable(op, err)
			}
			continue
		}
		if err := e.assets(); err != nil {
			return err
		}
	}
	if err := delim(e.dec, '}'); err != nil {
		return unreadable(op, err)
	}
	return nil
}

// behindAssets is an envelope up to behind its list: the standard decoder goes on
// from there.
const behindAssets = `{"assetListData":{"asset":[]`

// assets reads the list. The standard decoder reads the few bytes before and behind
// it.
func (e *pageEnvelope) assets() error {
	const op = "search assets"
	tok, err := e.dec.Token()
	if err != nil {
		return unreadable(op, err)
	}
	if tok == nil {
		return nil
	}
	if tok != json.Delim('[') {
		return unreadable(op, errors.New("asset is not a list"))
	}
	f := framer{r: bufio.NewReaderSize(io.MultiReader(e.dec.Buffered(), e.r), frameBuffer)}
	var broken error
	if err := f.each(func(raw []byte) error {
		res, err := decodeAsset(raw)
		if err != nil {
			broken = err
			return err
		}
		e.page.Results = append(e.page.Results, res)
		return nil
	}); err != nil {
		if broken != nil {
			return broken
		}
		return unreadable(op, err)
	}
	e.r = io.MultiReader(strings.NewReader(behindAssets), f.r)
	e.dec = json.NewDecoder(e.r)
	for range strings.Count(behindAssets, "{") + 2 + 2 { // braces, names, brackets
		if _, err := e.dec.Token(); err != nil {
			return unreadable(op, err)
		}
	}
	return nil
}

// decodeAsset reads one asset. Without its id it cannot even be reported, so
// that is an error of the page.
func decodeAsset(raw []byte) (Result, error) {
	var w wireAsset
	fields := w.fields()
	values := make([][]byte, len(fields))
	next := 0 // members mostly come in the order of the fields
	if err := members(raw, func(key, value []byte) {
		for n := range fields {
			if i := (next + n) % len(fields); string(key) == fields[i].name {
				values[i], next = value, i+1 // of members with one name the last one counts
				return
			}
		}
	}); err != nil {
		return Result{}, unreadable("search assets", err)
	}
	var id integer
	if err := id.UnmarshalJSON(values[0]); err != nil || id == 0 { // the first field is the id
		return Result{}, unreadable("search assets", errors.New("an asset has no assetId"))
	}
	res := Result{ID: int64(id)}
	if len(raw) > maxAsset {
		res.Err = &FieldError{Field: "asset", Want: fmt.Sprintf("at most %d bytes", maxAsset), Got: fmt.Sprintf("%d bytes", len(raw))}
		return res, nil
	}
	for i, f := range fields {
		value := values[i]
		if len(value) == 0 || value[0] == 'n' {
			continue
		}
		if err := fast.Unmarshal(value, f.into); err != nil {
			var fe *FieldError
			errors.As(within(f.name, err), &fe)
			res.Err = fe
			return res, nil
		}
		if f.section != "" {
			w.present = append(w.present, f.section)
		}
	}
	res.Asset = w.convert()
	return res, nil
}

func delim(dec *json.Decoder, want rune) error {
	tok, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if tok != json.Delim(want) {
		return fmt.Errorf("want %q, got %v", want, tok)
	}
	return nil
}
