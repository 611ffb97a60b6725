package qualys

import (
	"encoding/json"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/qbridge/qbridge/domain/jsontext"
)

// Nearly all members are of the documented shape, and reading them is most of what
// an asset costs. They are read here without a copy: each struct says where a member
// goes, and values that many assets share are kept once. Whatever looks otherwise is
// left to the decoder that understands more, and that says what is wrong.

// structure is a struct that knows its members.
type structure interface {
	// member returns where the value of a member goes, nil when nobody reads it.
	member(name []byte) any
}

// quick reads values of an asset, checking them as strictly as encoding/json does.
// Every method reads the value that b begins with and returns how long it is. It
// reports false, and says nothing about why, for what is not of the documented shape,
// not JSON, or not there as a whole: what it read into may then be half read.
type quick struct{ texts *sharedTexts }

// value reads a value into what a member named.
func (q quick) value(b []byte, into any) (int, bool) {
	switch p := into.(type) {
	case *text:
		return q.text(b, p)
	case **wireLifecycle:
		return optional(q, b, p)
	case **wireLicense:
		return optional(q, b, p)
	case *listOf[wireSoftware]:
		return quickList(q, b, p)
	case *listOf[wireInterface]:
		return quickList(q, b, p)
	case *listOf[wirePort]:
		return quickList(q, b, p)
	case *listOf[wireVolume]:
		return quickList(q, b, p)
	case *listOf[wireTag]:
		return quickList(q, b, p)
	case *listOf[wireInventory]:
		return quickList(q, b, p)
	case structure:
		return q.object(b, p)
	case *integer:
		if n, end, ok := plainInteger(b); ok {
			*p = integer(n)
			return end, true
		}
	case *moment:
		if t, ok := plainMoment(b); ok {
			p.set(t)
			return momentLen, true
		}
		if n, end, ok := plainInteger(b); ok {
			p.millis(n)
			return end, true
		}
	case *flag:
		if b[0] == 't' || b[0] == 'f' {
			*p = b[0] == 't'
			return valid(b, 0, 0)
		}
	}
	end, ok := valid(b, 0, 0)
	if u, understands := into.(json.Unmarshaler); ok && understands {
		return end, u.UnmarshalJSON(b[:end]) == nil
	}
	return end, false
}

// text reads a text. Numbers and words in its place are texts too.
func (q quick) text(b []byte, p *text) (int, bool) {
	if b[0] == '"' {
		end := 1 + jsontext.Plain(b[1:])
		if end < len(b) && b[end] == '"' {
			*p = text(q.texts.of(b[1:end]))
			return end + 1, true
		}
		end, ok := valid(b, 0, 0)
		return end, ok && p.UnmarshalJSON(b[:end]) == nil
	}
	end, ok := valid(b, 0, 0)
	switch b[0] {
	case 'n':
		return end, ok
	case '{', '[':
		return end, false
	}
	*p = text(q.texts.of(b[:end]))
	return end, ok
}

// object reads the members of an object.
func (q quick) object(b []byte, s structure) (int, bool) {
	return q.each(b, func(name, value []byte) (int, bool) {
		if into := s.member(name); into != nil {
			return q.value(value, into)
		}
		return valid(value, 0, 0)
	})
}

// each visits the members of an object. visit returns how long the value is that it
// is given the beginning of.
func (q quick) each(b []byte, visit func(name, value []byte) (int, bool)) (int, bool) {
	if len(b) == 0 || b[0] != '{' {
		return 0, false
	}
	i := spaces(b, 1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for i < len(b) && b[i] == '"' {
		end := i + 1 + jsontext.Plain(b[i+1:])
		if end == len(b) || b[end] != '"' { // an escaped name
			return 0, false
		}
		name := b[i+1 : end]
		if i = after(b, end+1); i == len(b) || b[i] != ':' {
			return 0, false
		}
		if i = after(b, i+1); i == len(b) {
			return 0, false
		}
		n, ok := visit(name, b[i:])
		if !ok {
			return 0, false
		}
		if i = after(b, i+n); i == len(b) || b[i] != ',' {
			return i + 1, i < len(b) && b[i] == '}'
		}
		i = after(b, i+1)
	}
	return 0, false
}

// after returns where what is no space goes on at or behind i. Nearly always it is
// at i.
func after(b []byte, i int) int {
	if i < len(b) && b[i] > ' ' {
		return i
	}
	return spaces(b, i)
}

// optional reads an object that may be missing.
func optional[T any, P interface {
	*T
	structure
}](q quick, b []byte, into *P) (int, bool) {
	if b[0] == 'n' {
		*into = nil
		return valid(b, 0, 0)
	}
	if *into == nil {
		*into = new(T)
	}
	return q.object(b, *into)
}

// quickList reads a list in its wrapper into the space of the list before it. A
// wrapper with no list, with two, or with one thing in place of a list is left to
// others.
func quickList[T any, P interface {
	*T
	structure
}](q quick, b []byte, l *listOf[T]) (int, bool) {
	lists := 0
	end, ok := q.each(b, func(_, list []byte) (int, bool) {
		if lists++; list[0] != '[' || lists > 1 {
			return 0, false
		}
		l.Items = l.Items[:0]
		i := spaces(list, 1)
		if i < len(list) && list[i] == ']' {
			return i + 1, true
		}
		for i < len(list) {
			l.Items = slices.Grow(l.Items, 1)[:len(l.Items)+1]
			item := &l.Items[len(l.Items)-1]
			clear(l.Items[len(l.Items)-1:])
			n, ok := q.object(list[i:], P(item))
			if !ok {
				return 0, false
			}
			if i = spaces(list, i+n); i == len(list) || list[i] != ',' {
				return i + 1, i < len(list) && list[i] == ']'
			}
			i = spaces(list, i+1)
		}
		return 0, false
	})
	l.Present = true
	return end, ok && lists == 1
}

// plainInteger reads a whole number, of no more digits than are sure to fit, up to
// what can end it.
func plainInteger(b []byte) (n int64, end int, ok bool) {
	start := 0
	if b[0] == '-' {
		start = 1
	}
	for end = start; end < len(b) && b[end]-'0' <= 9; end++ {
		if n > (math.MaxInt64-9)/10 {
			return 0, 0, false
		}
		n = n*10 + int64(b[end]-'0')
	}
	if end == start || end == len(b) || b[start] == '0' && end > start+1 || b[end] == '.' || b[end] == 'e' || b[end] == 'E' {
		return 0, 0, false
	}
	if start == 1 {
		n = -n
	}
	return n, end, true
}

// momentLen is the length of an instant in the form of nearly all dates, quoted.
const momentLen = len(commonLayout) + 2

// plainMoment reads the form of nearly all dates.
func plainMoment(b []byte) (time.Time, bool) {
	if len(b) < momentLen || b[0] != '"' || b[momentLen-1] != '"' {
		return time.Time{}, false
	}
	return commonTime(b[1 : momentLen-1])
}

// sharedTexts keeps texts that were read before: names of products, makers and categories
// stand in every asset. Each text has one place; the later one takes it.
type sharedTexts struct {
	seed  maphash.Seed
	known [textPlaces]string
}

// textPlaces is how many texts are kept, longText from which length none is.
const (
	textPlaces = 4096
	longText   = 64
)

func newTexts() *sharedTexts { return &sharedTexts{seed: maphash.MakeSeed()} }

// of returns the text that the bytes say.
func (t *sharedTexts) of(b []byte) string {
	if len(b) == 0 || len(b) > longText {
		return string(b)
	}
	place := &t.known[maphash.Bytes(t.seed, b)%textPlaces]
	if *place != string(b) {
		*place = string(b)
	}
	return *place
}

func (w *wireLifecycle) member(name []byte) any {
	switch string(name) {
	case "introDate":
		return &w.Intro
	case "gaDate":
		return &w.GA
	case "eolDate":
		return &w.EOL
	case "eosDate":
		return &w.EOS
	case "obsoleteDate":
		return &w.Obsolete
	case "stage":
		return &w.Stage
	case "lifeCycleConfidence":
		return &w.Confidence
	case "eolSupportStage":
		return &w.EOLSupport
	case "eosSupportStage":
		return &w.EOSSupport
	}
	return nil
}

func (w *wireLicense) member(name []byte) any {
	switch string(name) {
	case "category":
		return &w.Category
	case "subcategory":
		return &w.Subcategory
	}
	return nil
}

func (w *wireOS) member(name []byte) any {
	switch string(name) {
	case "osName":
		return &w.Name
	case "fullName":
		return &w.FullName
	case "category":
		return &w.Category
	case "category1":
		return &w.Category1
	case "category2":
		return &w.Category2
	case "productName":
		return &w.ProductName
	case "productFamily":
		return &w.ProductFamily
	case "publisher":
		return &w.Publisher
	case "edition":
		return &w.Edition
	case "marketVersion":
		return &w.MarketVersion
	case "version":
		return &w.Version
	case "update":
		return &w.Update
	case "architecture":
		return &w.Architecture
	case "release":
		return &w.Release
	case "installDate":
		return &w.InstallDate
	case "lifecycle":
		return &w.Lifecycle
	}
	return nil
}

func (w *wireHardware) member(name []byte) any {
	switch string(name) {
	case "fullName":
		return &w.FullName
	case "category":
		return &w.Category
	case "category1":
		return &w.Category1
	case "category2":
		return &w.Category2
	case "manufacturer":
		return &w.Manufacturer
	case "productName":
		return &w.ProductName
	case "productFamily":
		return &w.ProductFamily
	case "model":
		return &w.Model
	case "lifecycle":
		return &w.Lifecycle
	}
	return nil
}

func (w *wireProcessor) member(name []byte) any {
	switch string(name) {
	case "description":
		return &w.Description
	case "speed":
		return &w.Speed
	case "numCPUs":
		return &w.CPUs
	case "noOfSocket":
		return &w.Sockets
	case "threadsPerCore":
		return &w.ThreadsPerCore
	case "coresPerSocket":
		return &w.CoresPerSocket
	case "multithreadingStatus":
		return &w.Multithreading
	}
	return nil
}

func (w *wireInterface) member(name []byte) any {
	switch string(name) {
	case "hostname":
		return &w.HostName
	case "addressIpV4":
		return &w.IPv4
	case "addressIpV6":
		return &w.IPv6
	case "macAddress":
		return &w.MAC
	case "interfaceName":
		return &w.Name
	case "dnsAddress":
		return &w.DNS
	case "gatewayAddress":
		return &w.Gateway
	case "manufacturer":
		return &w.Manufacturer
	case "netmask":
		return &w.Netmask
	}
	return nil
}

func (w *wireSoftware) member(name []byte) any {
	switch string(name) {
	case "id":
		return &w.ID
	case "fullName":
		return &w.FullName
	case "softwareType":
		return &w.Type
	case "isIgnored":
		return &w.Ignored
	case "category1":
		return &w.Category1
	case "category2":
		return &w.Category2
	case "productName":
		return &w.ProductName
	case "component":
		return &w.Component
	case "publisher":
		return &w.Publisher
	case "edition":
		return &w.Edition
	case "marketVersion":
		return &w.MarketVersion
	case "version":
		return &w.Version
	case "update":
		return &w.Update
	case "architecture":
		return &w.Architecture
	case "installPath":
		return &w.InstallPath
	case "installDate":
		return &w.InstallDate
	case "lastUseDate":
		return &w.LastUsed
	case "isPackage":
		return &w.Package
	case "packageName":
		return &w.PackageName
	case "lifecycle":
		return &w.Lifecycle
	case "supportStageDesc":
		return &w.SupportStage
	case "authorization":
		return &w.Authorization
	case "discoveredName":
		return &w.DiscoveredName
	case "license":
		return &w.License
	}
	return nil
}

func (w *wirePort) member(name []byte) any {
	switch string(name) {
	case "port":
		return &w.Port
	case "protocol":
		return &w.Protocol
	case "description":
		return &w.Description
	case "detectedService":
		return &w.Service
	case "firstFound":
		return &w.FirstFound
	case "lastUpdated":
		return &w.LastUpdated
	}
	return nil
}

func (w *wireVolume) member(name []byte) any {
	switch string(name) {
	case "name":
		return &w.Name
	case "free":
		return &w.Free
	case "size":
		return &w.Size
	}
	return nil
}

func (w *wireTag) member(name []byte) any {
	switch string(name) {
	case "tagId":
		return &w.ID
	case "tagName":
		return &w.Name
	case "criticalityScore":
		return &w.CriticalityScore
	}
	return nil
}

func (w *wireInventory) member(name []byte) any {
	switch string(name) {
	case "source":
		return &w.Source
	case "created":
		return &w.Created
	case "lastUpdated":
		return &w.LastUpdated
	}
	return nil
}

func (w *wireLocation) member(name []byte) any {
	switch string(name) {
	case "name":
		return &w.Name
	case "city":
		return &w.City
	case "state":
		return &w.State
	case "country":
		return &w.Country
	case "continent":
		return &w.Continent
	case "postal":
		return &w.Postal
	}
	return nil
}
