package qualys

import (
	"bytes"

	"github.com/goccy/go-json"
)

// Software is most of an asset's bytes, and nearly always of the documented types.
// It is read as such first: a type with a reader of its own costs two copies of
// every value. What does not fit is read again by the types that understand more.

// plainSoftware is wireSoftware as it is documented.
type plainSoftware struct {
	ID             integer        `json:"id"` // exact to 64 bits
	FullName       string         `json:"fullName"`
	Type           string         `json:"softwareType"`
	Ignored        bool           `json:"isIgnored"`
	Category1      string         `json:"category1"`
	Category2      string         `json:"category2"`
	ProductName    string         `json:"productName"`
	Component      string         `json:"component"`
	Publisher      string         `json:"publisher"`
	Edition        string         `json:"edition"`
	MarketVersion  string         `json:"marketVersion"`
	Version        string         `json:"version"`
	Update         string         `json:"update"`
	Architecture   string         `json:"architecture"`
	InstallPath    string         `json:"installPath"`
	InstallDate    string         `json:"installDate"`
	LastUsed       string         `json:"lastUseDate"`
	Package        bool           `json:"isPackage"`
	PackageName    string         `json:"packageName"`
	Lifecycle      *wireLifecycle `json:"lifecycle"`
	SupportStage   string         `json:"supportStageDesc"`
	Authorization  string         `json:"authorization"`
	DiscoveredName string         `json:"discoveredName"`
	License        *struct {
		Category    text `json:"category"`
		Subcategory text `json:"subcategory"`
	} `json:"license"`
}

func (p *plainSoftware) wire() wireSoftware {
	w := wireSoftware{
		ID: p.ID, FullName: text(p.FullName), Type: text(p.Type), Ignored: flag(p.Ignored), Category1: text(p.Category1), Category2: text(p.Category2),
		ProductName: text(p.ProductName), Component: text(p.Component), Publisher: text(p.Publisher), Edition: text(p.Edition),
		MarketVersion: text(p.MarketVersion), Version: text(p.Version), Update: text(p.Update), Architecture: text(p.Architecture),
		InstallPath: text(p.InstallPath), Package: flag(p.Package), PackageName: text(p.PackageName), Lifecycle: p.Lifecycle,
		SupportStage: text(p.SupportStage), Authorization: text(p.Authorization), DiscoveredName: text(p.DiscoveredName), License: p.License,
	}
	w.InstallDate.read(p.InstallDate)
	w.LastUsed.read(p.LastUsed)
	return w
}

// readPlain reads a wrapper around one list in one go. It reports false for
// whatever is not of the documented shape and types, and says nothing about why.
func (l *listOf[T]) readPlain(b []byte) bool {
	list, ok := soleList(b)
	if !ok {
		return false
	}
	if software, ok := any(&l.Items).(*[]wireSoftware); ok {
		var plain []plainSoftware
		// One copy that all values share, in place of one for each: the list is ours
		// for the length of this call only.
		if json.UnmarshalWithOption(bytes.Clone(list), &plain, json.DecodeNoCopyString()) != nil {
			return false
		}
		*software = make([]wireSoftware, len(plain))
		for i := range plain {
			(*software)[i] = plain[i].wire()
		}
		return true
	}
	if json.Unmarshal(list, &l.Items) != nil {
		l.Items = nil
		return false
	}
	return true
}

// soleList returns the list in {"key":[…]}. Whether anything stands behind the
// list is for its reader to find out: then it is not one value.
func soleList(b []byte) ([]byte, bool) {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return nil, false
	}
	b = bytes.TrimSpace(b[1 : len(b)-1])
	if len(b) == 0 || b[0] != '"' {
		return nil, false
	}
	end := bytes.IndexByte(b[1:], '"') + 2
	if end < 2 || !plainString(b[:end]) {
		return nil, false
	}
	b = bytes.TrimSpace(b[end:])
	if len(b) == 0 || b[0] != ':' {
		return nil, false
	}
	b = bytes.TrimSpace(b[1:])
	return b, len(b) > 0 && b[0] == '['
}

// members gives the members of an object in their order, neither keys nor values
// copied. The JSON must be well formed: what this says of other bytes is
// undefined, short of reading beyond them.
func members(b []byte, each func(key, value []byte)) error {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return &FieldError{Field: "asset", Want: "an object", Got: shape(b)}
	}
	for b = skipSpace(b[1 : len(b)-1]); len(b) > 0; {
		end := valueEnd(b)
		key := b[:end]
		if b = skipSpace(b[end:]); len(b) == 0 {
			break
		}
		b = skipSpace(b[1:]) // the colon
		end = valueEnd(b)
		if plainString(key) {
			each(key[1:len(key)-1], b[:end])
		} else {
			var name string
			if err := json.Unmarshal(key, &name); err != nil {
				return err
			}
			each([]byte(name), b[:end])
		}
		if b = skipSpace(b[end:]); len(b) > 0 {
			b = skipSpace(b[1:]) // the comma
		}
	}
	return nil
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// valueEnd returns the length of the value that b begins with.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b); i++ {
				if i += ordinary(b[i:]); i >= len(b) || b[i] == '"' {
					break
				}
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
