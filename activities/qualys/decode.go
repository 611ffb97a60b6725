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
// read by quick where it is of the documented shape, and else by goccy/go-json,
// which takes less than half the time of the standard library.
func decodePage(r io.Reader, page *Page) error {
	const op = "search assets"
	e := pageEnvelope{page: page, r: r, dec: json.NewDecoder(r), reader: assetReader{quick: quick{newTexts()}}}
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
	reader        assetReader
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
	if err := f.each(func(b []byte) (int, bool) {
		res, n, ok := e.reader.documented(b)
		if ok {
			e.page.Results = append(e.page.Results, res)
		}
		return n, ok
	}, func(raw []byte) error {
		res, err := e.reader.lenient(raw)
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

// assetReader reads one asset after the other. What it read of one is the space of
// the next: nothing of it is handed out.
type assetReader struct {
	quick
	wire   wireAsset
	fields []wireField
	places map[string]int // of fields by name
	values [][]byte       // of the fields
	// sections tells which fields were there, of those that are sections.
	sections []bool
}

// documented reads the asset that b begins with, if all its members are of the
// documented shape, in one pass. It reports false for any other.
func (a *assetReader) documented(b []byte) (res Result, end int, ok bool) {
	a.reset()
	end, ok = a.each(b, func(name, value []byte) (int, bool) {
		i, known := a.places[string(name)]
		if !known {
			return valid(value, 0, 0)
		}
		f := &a.fields[i]
		if a.values[i] != nil { // of members with one name the last one counts
			return 0, false
		}
		if a.values[i] = value; value[0] == 'n' {
			return valid(value, 0, 0)
		}
		n, ok := a.value(value, f.into)
		if !ok {
			if n, ok = valid(value, 0, 0); ok {
				ok = a.other(f, value[:n])
			}
		}
		if ok && f.section != "" {
			a.sections[i] = true
		}
		return n, ok
	})
	if !ok || end > maxAsset || a.wire.ID == 0 {
		return Result{}, 0, false
	}
	for i := range a.fields {
		if a.sections[i] {
			a.wire.present = append(a.wire.present, a.fields[i].section)
		}
	}
	return Result{ID: int64(a.wire.ID), Asset: a.wire.convert()}, end, true
}

// other reads a field that few assets have.
func (a *assetReader) other(f *wireField, value []byte) bool {
	a.wire.forget(f.into)
	return fast.Unmarshal(value, f.into) == nil
}

// lenient reads an asset member by member and says which one cannot be read.
// Without its id it cannot even be reported, so that is an error of the page.
func (a *assetReader) lenient(raw []byte) (Result, error) {
	a.reset()
	next := 0
	if err := members(raw, func(key, value []byte) {
		for n := range a.fields {
			if i := (next + n) % len(a.fields); string(key) == a.fields[i].name {
				a.values[i], next = value, i+1
				return
			}
		}
	}); err != nil {
		return Result{}, unreadable("search assets", err)
	}
	var id integer
	if err := id.UnmarshalJSON(a.values[0]); err != nil || id == 0 { // the first field is the id
		return Result{}, unreadable("search assets", errors.New("an asset has no assetId"))
	}
	res := Result{ID: int64(id)}
	if len(raw) > maxAsset {
		res.Err = &FieldError{Field: "asset", Want: fmt.Sprintf("at most %d bytes", maxAsset), Got: fmt.Sprintf("%d bytes", len(raw))}
		return res, nil
	}
	for i := range a.fields {
		f, value := &a.fields[i], a.values[i]
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
			a.wire.present = append(a.wire.present, f.section)
		}
	}
	res.Asset = a.wire.convert()
	return res, nil
}

// reset makes room for the next asset. Lists keep their space.
func (a *assetReader) reset() {
	w := &a.wire
	*w = wireAsset{
		Interfaces: w.Interfaces.emptied(), Software: w.Software.emptied(), Ports: w.Ports.emptied(), Volumes: w.Volumes.emptied(), Tags: w.Tags.emptied(),
		InventoryList: w.InventoryList.emptied(), present: w.present[:0],
	}
	if a.fields == nil {
		a.fields = w.fields()
		a.places = make(map[string]int, len(a.fields))
		for i := range a.fields {
			a.places[a.fields[i].name] = i
		}
		a.values, a.sections = make([][]byte, len(a.fields)), make([]bool, len(a.fields))
	}
	clear(a.values)
	clear(a.sections)
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
