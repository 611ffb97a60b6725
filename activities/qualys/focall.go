package qualys

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/qbridge/qbridge/activities/transport"
)

// foCall is one call: a form, and what its answer is read into. A call without a
// root is answered by a SIMPLE_RETURN.
type foCall struct {
	op, path string
	form     url.Values
	root     string
	into     any
	// writes marks calls that change something: when their answer is lost, nobody
	// knows whether they did.
	writes bool
}

// SimpleReturn is the short answer of a call.
type SimpleReturn struct {
	Code, Text string
	Items      map[string]string
	// Pending says that the call was accepted and is carried out later.
	Pending bool
}

// simpleReturn is the wire form of SimpleReturn.
type simpleReturn struct {
	Code  string `xml:"RESPONSE>CODE"`
	Text  string `xml:"RESPONSE>TEXT"`
	Items []struct {
		Key   string `xml:"KEY"`
		Value string `xml:"VALUE"`
	} `xml:"RESPONSE>ITEM_LIST>ITEM"`
}

// maxFOAnswer bounds an answer: a subscription of a million scattered addresses
// stays below it.
const maxFOAnswer = 96 << 20

// call makes one call. Credentials that were refused are not sent again for a
// while.
func (c *FOClient) call(ctx context.Context, f foCall) (out SimpleReturn, meta Meta, err error) {
	if err := c.login.holds(c.vendor.cfg.Now()); err != nil {
		return SimpleReturn{}, Meta{}, err
	}
	defer func() {
		if f.writes {
			err = doubt(err)
		}
		c.login.note(err, c.vendor.cfg.Now())
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.vendor.cfg.APIURL+f.path, strings.NewReader(f.form.Encode()))
	if err != nil {
		return SimpleReturn{}, Meta{}, fmt.Errorf("qualys: %s: %w", f.op, err)
	}
	req.SetBasicAuth(c.vendor.cfg.Username, c.vendor.cfg.Password)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Requested-With", "qbridge") // without it every call is refused
	res, err := c.vendor.http.Do(req)
	if err != nil {
		return SimpleReturn{}, Meta{}, c.broken(f, err)
	}
	defer func() { _ = res.Body.Close() }()
	meta = Meta{Status: res.StatusCode, Limits: transport.ParseLimits(res.Header, c.vendor.cfg.Now())}
	if d, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		meta.ServerDate = d.UTC()
	}
	answer, err := c.read(f, res)
	if err != nil {
		return SimpleReturn{}, meta, c.broken(f, err)
	}
	return c.verdict(f, &meta, answer)
}

// broken is the error of a call that ended without a readable answer.
func (c *FOClient) broken(f foCall, err error) error {
	var ours *Error
	switch {
	case errors.As(err, &ours):
		return err
	case f.writes:
		return c.vendor.lost(f.op, err)
	}
	return c.vendor.failed(f.op, err)
}

// read reads the answer: the document that was asked for, for which it returns nil,
// or a SIMPLE_RETURN. The body of an error status may be anything.
func (c *FOClient) read(f foCall, res *http.Response) (*simpleReturn, error) {
	if res.StatusCode != http.StatusOK && (res.StatusCode != http.StatusAccepted || !f.writes) {
		return foRefusal(io.LimitReader(res.Body, maxErrorBody)), nil
	}
	dec := foDecoder(io.LimitReader(res.Body, maxFOAnswer))
	root, err := foRoot(dec)
	if err != nil {
		return nil, c.understood(f.op, err)
	}
	var answer *simpleReturn
	switch root.Name.Local {
	case "SIMPLE_RETURN":
		answer = &simpleReturn{}
		err = dec.DecodeElement(answer, root)
	case f.root:
		err = dec.DecodeElement(f.into, root)
	default:
		err = errors.New("the answer is not the one that is documented; a maintenance page or a proxy may stand in between")
	}
	if err == nil {
		err = foEnd(dec)
	}
	return answer, c.understood(f.op, err)
}

func foDecoder(r io.Reader) *xml.Decoder {
	return xml.NewDecoder(&xmlText{r: bufio.NewReaderSize(r, 64<<10)})
}

// foRefusal reads what the body of an error status says; mostly the status says
// enough.
func foRefusal(r io.Reader) *simpleReturn {
	dec := foDecoder(r)
	var answer simpleReturn
	if root, err := foRoot(dec); err != nil || root.Name.Local != "SIMPLE_RETURN" || dec.DecodeElement(&answer, root) != nil {
		return &simpleReturn{}
	}
	return &answer
}

// understood turns an error of the decoder into one of the answer; those of the
// network stay as they are.
func (c *FOClient) understood(op string, err error) error {
	var large *transport.BodyTooLargeError
	if err == nil || errors.As(err, &large) || errors.Is(err, context.Canceled) {
		return err
	}
	return unreadable(op, err)
}

// foRoot returns the root element. A document type is passed over, never fetched;
// one that declares something itself is refused.
func foRoot(dec *xml.Decoder) (*xml.StartElement, error) {
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.Directive:
			if strings.Contains(string(t), "[") || strings.Contains(string(t), "ENTITY") {
				return nil, errDTD
			}
		case xml.StartElement:
			return &t, nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("the answer is not XML; a maintenance page or a proxy may stand in between")
			}
		}
	}
}

// foEnd checks that only comments follow the root element.
func foEnd(dec *xml.Decoder) error {
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.Comment, xml.ProcInst:
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return errors.New("something follows the answer")
			}
		default:
			return errors.New("something follows the answer")
		}
	}
}

// Codes of SIMPLE_RETURN. Source: Qualys VM/PC API, appendix of error codes.
const (
	foAccepted    = "1981"
	foProcessing  = "1982"
	foRegister    = "2003"
	foLimitRemedy = "complete the registration of the account in the user interface"
)

// verdict says what an answer means. Refusals too come with status 200.
func (c *FOClient) verdict(f foCall, meta *Meta, answer *simpleReturn) (SimpleReturn, Meta, error) {
	ok := meta.Status == http.StatusOK || meta.Status == http.StatusAccepted && f.writes
	if answer == nil {
		return SimpleReturn{}, *meta, nil
	}
	code := strings.TrimSpace(answer.Code)
	pending := meta.Status == http.StatusAccepted || code == foAccepted || code == foProcessing
	if ok && f.writes && (code == "" || pending) {
		if strings.TrimSpace(answer.Text) == "" {
			return SimpleReturn{}, *meta, unreadable(f.op, errors.New("the answer says nothing"))
		}
		out := SimpleReturn{Code: code, Text: c.clean(answer.Text), Items: map[string]string{}, Pending: pending}
		for _, i := range answer.Items {
			out.Items[i.Key] = i.Value
		}
		return out, *meta, nil
	}
	if ok && code == "" {
		return SimpleReturn{}, *meta, unreadable(f.op, errors.New("a list was asked for, and none came"))
	}
	e := &Error{Op: f.op, Status: meta.Status, Code: c.clean(code), Message: c.clean(answer.Text), kind: foKind(meta.Status, code)}
	if code == foRegister {
		e.Message = foLimitRemedy
	}
	if e.kind == KindRateLimited {
		e.RetryAfter = meta.Limits.Wait
	}
	return SimpleReturn{}, *meta, forbidden(e)
}

// foKind says what a code means; the status decides where there is none.
func foKind(status int, code string) Kind {
	switch code {
	case "":
		return kindOf(status)
	case "1920", "1959", "1960", "1965", "1966": // another request, concurrency, rate
		return KindRateLimited
	case "2000", "2001":
		return KindUnauthorized
	case "999", "1999", foAccepted, foProcessing: // what was asked for comes later, if at all
		return KindUnavailable
	}
	if status >= 500 || status == http.StatusUnauthorized {
		return kindOf(status)
	}
	return KindInvalidRequest
}

// clean makes the vendor's text fit for an error.
func (c *FOClient) clean(s string) string {
	basic := base64.StdEncoding.EncodeToString([]byte(c.vendor.cfg.Username + ":" + c.vendor.cfg.Password))
	return cut(transport.Redact(s, append(c.vendor.secrets(), basic)))
}
