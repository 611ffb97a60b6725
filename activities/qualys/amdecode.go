package qualys

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	fast "github.com/goccy/go-json"
)

// maxAMDepth bounds the nesting of an asset: the deepest value that is read, the
// tag of a cloud instance, is at nine.
const maxAMDepth = 32

// amEnvelope reads an answer, asset by asset, so that memory is bounded by the
// largest asset and not by the page. What XML says is brought into the shape of the
// JSON answer first: from there on there is one reader.
type amEnvelope struct {
	op   string
	page *Page

	code, text, remedy text
	count              integer
	last               integer
	more               flag
	sawCount, sawMore  bool
}

// read reads an answer in either language, whichever was asked for: some
// deployments answer XML to JSON.
func (e *amEnvelope) read(r *bufio.Reader) error {
	if bom, err := r.Peek(3); err == nil && string(bom) == "\ufeff" {
		_, _ = r.Discard(3) // peeked above
	}
	for {
		b, err := r.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return unreadable(e.op, errors.New("the answer is empty"))
		case err != nil:
			return unreadable(e.op, err)
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			_, _ = r.Discard(1) // peeked above
			continue
		case '{':
			return e.readJSON(json.NewDecoder(r))
		case '<':
			return e.readXML(r)
		}
		return &Error{Op: e.op, Status: http.StatusOK, Message: "the answer is neither XML nor JSON; a maintenance page or a proxy may stand in between", kind: KindUnavailable}
	}
}

func (e *amEnvelope) readJSON(dec *json.Decoder) error {
	if err := delim(dec, '{'); err != nil {
		return unreadable(e.op, err)
	}
	seen := false
	err := e.members(dec, func(key string) error {
		if key != "ServiceResponse" {
			return skipJSON(dec)
		}
		seen = true
		if err := delim(dec, '{'); err != nil {
			return err
		}
		return e.members(dec, func(key string) error {
			if key == "data" {
				return e.data(dec)
			}
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			return e.field(key, raw)
		})
	})
	if err == nil && !seen {
		err = errors.New("the answer has no ServiceResponse")
	}
	return e.unreadable(err)
}

// members reads the members of an object up to its end; each reads its own value.
func (e *amEnvelope) members(dec *json.Decoder, member func(key string) error) error {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if err := member(key.(string)); err != nil { // a key is always a string
			return err
		}
	}
	return delim(dec, '}')
}

func skipJSON(dec *json.Decoder) error {
	var raw json.RawMessage
	return dec.Decode(&raw)
}

func (e *amEnvelope) unreadable(err error) error {
	var ours *Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	return unreadable(e.op, err)
}

// data reads [{"HostAsset":{…}},…], or the object to which a converter from XML
// collapses it.
func (e *amEnvelope) data(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case nil, "":
		return nil
	case json.Delim('{'):
		return e.members(dec, func(key string) error {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			return e.entry(key, raw)
		})
	case json.Delim('['):
		for dec.More() {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			var entry map[string]fast.RawMessage
			if err := fast.Unmarshal(raw, &entry); err != nil || len(entry) != 1 {
				return errors.New("data holds something else than host assets")
			}
			for key, value := range entry {
				if err := e.entry(key, value); err != nil {
					return err
				}
			}
		}
		return delim(dec, ']')
	}
	return errors.New("data is not a list")
}

// entry reads the assets of one member of data.
func (e *amEnvelope) entry(key string, raw []byte) error {
	if key != "HostAsset" {
		return errors.New("data holds something else than host assets")
	}
	raw = bytes.TrimSpace(raw)
	list := []fast.RawMessage{raw}
	if len(raw) > 0 && raw[0] == '[' {
		if err := fast.Unmarshal(raw, &list); err != nil {
			return err
		}
	}
	for _, one := range list {
		res, err := decodeAMAsset(one)
		if err != nil {
			return err
		}
		e.page.Results = append(e.page.Results, res)
	}
	return nil
}

// field reads a field around the assets.
func (e *amEnvelope) field(key string, raw []byte) error {
	var into any
	switch key {
	case "responseCode":
		into = &e.code
	case "count":
		into, e.sawCount = &e.count, true
	case "hasMoreRecords":
		into, e.sawMore = &e.more, true
	case "lastId":
		into = &e.last
	case "responseErrorDetails":
		var details map[string]fast.RawMessage
		_ = fast.Unmarshal(raw, &details) // it explains an error and decides nothing
		_ = fast.Unmarshal(orNull(details["errorMessage"]), &e.text)
		_ = fast.Unmarshal(orNull(details["errorResolution"]), &e.remedy)
		return nil
	default:
		return nil
	}
	if err := fast.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func orNull(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
}

func (e *amEnvelope) message() string {
	if e.remedy == "" {
		return string(e.text)
	}
	return string(e.text) + " " + string(e.remedy)
}

// complete checks that what the answer says of itself is what it holds. Count is
// the number of assets in the answer; an answer without assets counts elsewhere.
func (e *amEnvelope) complete() error {
	if n := len(e.page.Results); n > 0 && e.sawCount && int64(e.count) != int64(n) {
		return unreadable(e.op, fmt.Errorf("the answer promises %d assets and holds %d", e.count, n))
	}
	e.page.Count = len(e.page.Results)
	return nil
}

// turn fills in what leads to the next page.
func (e *amEnvelope) turn() error {
	p := e.page
	switch {
	case len(p.Results) == 0 && e.count > 0:
		return unreadable(e.op, fmt.Errorf("the answer promises %d assets and holds none", e.count))
	case len(p.Results) > 0 && !e.sawMore:
		return unreadable(e.op, errors.New("the answer does not say whether there are more assets"))
	}
	highest := p.Next
	for i := range p.Results {
		highest = max(highest, p.Results[i].ID)
	}
	p.HasMore = bool(e.more)
	// The API pages by lastId; with the last page it may be missing.
	if p.Next = highest; p.HasMore && e.last > 0 {
		p.Next = int64(e.last)
	}
	return nil
}

// decodeAMAsset reads one asset. Without its id it cannot even be reported, so
// that is an error of the page.
func decodeAMAsset(raw []byte) (Result, error) {
	var fields map[string]fast.RawMessage
	deep := depth(raw) > maxAMDepth
	if !deep {
		if err := fast.Unmarshal(raw, &fields); err != nil {
			return Result{}, err
		}
	} else if err := topLevel(raw, &fields); err != nil {
		return Result{}, err
	}
	var id integer
	if err := id.UnmarshalJSON(bytes.TrimSpace(fields["id"])); err != nil || id <= 0 {
		return Result{}, errors.New("an asset has no id")
	}
	res := Result{ID: int64(id)}
	switch {
	case len(raw) > maxAsset:
		res.Err = tooLarge()
		return res, nil
	case deep:
		res.Err = tooDeep()
		return res, nil
	}
	var w amAsset
	for _, f := range w.fields() {
		value := bytes.TrimSpace(fields[f.name])
		if len(value) == 0 || value[0] == 'n' {
			continue
		}
		if err := fast.Unmarshal(value, f.into); err != nil {
			var fe *FieldError
			errors.As(within(f.name, err), &fe)
			res.Err = fe
			return res, nil
		}
	}
	res.Asset = w.layOut().convert()
	res.Asset.TrackingMethod = string(w.Tracking)
	cloud := &res.Asset.Cloud
	if cloud.Provider == "" { // the name alone, without an instance
		switch provider(string(w.Cloud)) {
		case "aws":
			cloud.Provider = "AWS"
		case "azure":
			cloud.Provider = "Azure"
		case "gcp":
			cloud.Provider = "GCP"
		case "ibm":
			cloud.Provider = "IBM"
		case "oci":
			cloud.Provider = "OCI"
		case "alibaba":
			cloud.Provider = "Alibaba"
		}
	}
	if s := w.source(); s != nil && cloud.MAC == "" {
		cloud.MAC = string(s.MAC)
	}
	return res, nil
}

func tooLarge() *FieldError {
	return &FieldError{Field: "HostAsset", Want: fmt.Sprintf("at most %d bytes", maxAsset), Got: "more"}
}

func tooDeep() *FieldError {
	return &FieldError{Field: "HostAsset", Want: fmt.Sprintf("at most %d levels", maxAMDepth), Got: "more"}
}

// topLevel reads the scalar members of an object with the decoder that never
// recurses into the others further than it has checked them.
func topLevel(raw []byte, fields *map[string]fast.RawMessage) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	*fields = make(map[string]fast.RawMessage, len(members))
	for k, v := range members {
		(*fields)[k] = v
	}
	return nil
}

// depth returns how deep checked JSON is nested.
func depth(raw []byte) int {
	level, deepest, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
