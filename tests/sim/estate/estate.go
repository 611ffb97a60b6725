// Package estate invents a company: the machines that a Qualys subscription has seen. Asset i is a function of the seed
// and i, computed when it is asked for, so a million assets cost no memory and two runs with one seed see the same
// company.
//
//	index ──layout──▶ machine and role ──describe──▶ Asset ──AppendJSON──▶ the vendor's JSON
//	                     │                              ▲
//	      some machines have two or three assets        │
//	      (agent, scanned interfaces) or came           └── overlay: what Mutate changed (per asset, small)
//	      back under a new id
//
// Ids ascend with the index and have gaps. Different machines never share a serial number, hardware UUID, MAC address,
// name or address by accident; the junk that real inventories hold ("To be filled by O.E.M.") is there on purpose.
package estate

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Profile says how much of each record is filled in.
type Profile string

// The profiles: about 13 KB of JSON for a computer, or about 60 KB.
const (
	Lean Profile = "lean"
	Full Profile = "full"
)

// MaxAssets is the largest estate: MAC addresses and IP addresses are unique up to here.
const MaxAssets = 4_000_000

const (
	firstID = 10_000_000
	// idStride is the mean gap between two ids plus one.
	idStride = 37
	// blockSize is the number of neighbouring indexes that share machines among themselves.
	blockSize = 100
	dayMs     = 24 * 3600 * 1000
)

// Options describe an estate. The zero value is 600 assets with seed 1, lean, nothing malformed.
type Options struct {
	Assets  int
	Seed    uint64
	Profile Profile
	// Bad is the number of assets whose JSON has wrong types in important fields; spread evenly.
	Bad int
	// Certificates is the number of TLS certificates; a quarter of the assets when zero, none when negative.
	Certificates int
	// AsOf is the moment of the snapshot that the unchanged estate shows; 2026-01-15 when zero.
	AsOf time.Time
}

// Estate computes assets. It is safe for concurrent use.
type Estate struct {
	opts  Options
	asOf  int64
	bad   int
	kinds []uint8
	archs []archetype
	osOf  map[string]*OS
	hwOf  map[string]*Hardware
	soft  map[string][]*product
	odd   []*product

	mu      sync.RWMutex
	size    int
	gen     int
	overlay map[int]change
	removed int
}

// change is what Mutate did to one asset.
type change struct {
	generation int
	at         int64
	removed    bool
	added      bool
}

// New prepares the catalogue. It is an error to ask for more than MaxAssets, or for more malformed assets than assets.
func New(o Options) (*Estate, error) {
	if o.Assets == 0 {
		o.Assets = 600
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Profile == "" {
		o.Profile = Lean
	}
	if o.AsOf.IsZero() {
		o.AsOf = time.Date(2026, 1, 15, 6, 0, 0, 0, time.UTC)
	}
	if o.Certificates == 0 {
		o.Certificates = o.Assets / 4
	}
	switch {
	case o.Certificates > MaxCertificates:
		return nil, fmt.Errorf("estate: %d certificates, want at most %d", o.Certificates, MaxCertificates)
	case o.Assets < 0 || o.Assets > MaxAssets:
		return nil, fmt.Errorf("estate: %d assets, want 1 to %d", o.Assets, MaxAssets)
	case o.Bad < 0 || o.Bad > o.Assets:
		return nil, fmt.Errorf("estate: %d malformed assets among %d", o.Bad, o.Assets)
	case o.Profile != Lean && o.Profile != Full:
		return nil, fmt.Errorf("estate: unknown profile %q, want lean or full", o.Profile)
	}
	e := &Estate{
		opts: o, asOf: o.AsOf.UnixMilli(), bad: o.Bad, archs: archetypes(), osOf: systems(), hwOf: machines(),
		soft: map[string][]*product{
			"windows": parseProducts(windowsProducts, false), "linux": parseProducts(linuxProducts, true),
			"mac": parseProducts(macProducts, false), "unix": parseProducts(unixProducts, true),
		},
		odd:     parseProducts(oddProducts(), false),
		size:    o.Assets,
		overlay: map[int]change{},
	}
	e.kinds = kindTable(e.archs)
	e.render()
	return e, nil
}

// Options returns what the estate was made with, defaults filled in.
func (e *Estate) Options() Options { return e.opts }

// Size is the number of indexes: assets that exist or existed. Live counts those that exist.
func (e *Estate) Size() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.size
}

// Live is the number of assets that exist.
func (e *Estate) Live() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.size - e.removed
}

// IDAt returns the id of the asset at an index.
func (e *Estate) IDAt(index int) int64 {
	jitter := mix(e.opts.Seed*0x9e37+uint64(index)) % (idStride - 1)
	return firstID + int64(index)*idStride + int64(jitter)
}

// IndexOf returns the index of an id; false when no asset has it. A removed asset keeps its index.
func (e *Estate) IndexOf(id int64) (int, bool) {
	if id < firstID {
		return 0, false
	}
	i := int((id - firstID) / idStride)
	return i, i < e.Size() && e.IDAt(i) == id
}

// After returns the first index whose id is greater than id; it may be Size().
func (e *Estate) After(id int64) int {
	if id < firstID {
		return 0
	}
	i := min(int((id-firstID)/idStride), e.Size())
	if i < e.Size() && e.IDAt(i) <= id {
		i++
	}
	return i
}

// state returns what Mutate did to an asset, and whether the asset exists.
func (e *Estate) state(index int) (change, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.overlay[index]
	return c, index >= 0 && index < e.size && !c.removed
}

// malformed returns which of the planted defects an asset has, from 1, or 0.
func (e *Estate) malformed(index int) int {
	if e.bad == 0 || index >= e.opts.Assets {
		return 0
	}
	// The j-th malformed asset stands in the middle of the j-th of e.bad equal parts.
	j := index * e.bad / e.opts.Assets
	for ; j <= index*e.bad/e.opts.Assets+1; j++ {
		if j < e.bad && (2*j+1)*e.opts.Assets/(2*e.bad) == index {
			return j%defects + 1
		}
	}
	return 0
}

// Mutation is what one call of Mutate did.
type Mutation struct {
	Generation int `json:"generation"`
	Changed    int `json:"changed"`
	Added      int `json:"added"`
	Removed    int `json:"removed"`
}

// Mutate changes k assets, adds k/10 (at least one) and removes k/20 (at least one), all with the last-modified date at.
// Which ones depends only on the seed, the generation and what exists, so replaying the same calls gives the same estate.
func (e *Estate) Mutate(k int, at time.Time) Mutation {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gen++
	m := Mutation{Generation: e.gen}
	if k <= 0 {
		return m
	}
	ms := at.UnixMilli()
	oldSize := e.size
	visit := e.walk(oldSize)
	for ; m.Changed < k; m.Changed++ {
		i, ok := visit()
		if !ok {
			break
		}
		c := e.overlay[i]
		c.generation, c.at = e.gen, ms
		e.overlay[i] = c
	}
	for ; m.Removed < max(1, k/20) && e.size-e.removed > 1; m.Removed++ {
		i, ok := visit()
		if !ok {
			break
		}
		c := e.overlay[i]
		c.removed, c.at = true, ms
		e.overlay[i] = c
		e.removed++
	}
	for ; m.Added < max(1, k/10) && e.size < MaxAssets; m.Added++ {
		e.overlay[e.size] = change{generation: e.gen, at: ms, added: true}
		e.size++
	}
	return m
}

// walk visits the existing assets in an order that looks random, each once.
func (e *Estate) walk(size int) func() (int, bool) {
	step := int(mix(e.opts.Seed^uint64(e.gen)*0x51)%uint64(size)) | 1
	for gcd(step, size) != 1 {
		step += 2
	}
	position := int(mix(e.opts.Seed+uint64(e.gen)*0x77) % uint64(size))
	left := size
	return func() (int, bool) {
		for left > 0 {
			left--
			position = (position + step) % size
			if !e.overlay[position].removed {
				return position, true
			}
		}
		return 0, false
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Reset forgets every mutation.
func (e *Estate) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.size, e.gen, e.removed, e.overlay = e.opts.Assets, 0, 0, map[int]change{}
}

// TouchedSince returns the indexes that Mutate touched, ascending, and true when no other asset can have been modified
// at or after the instant (epoch milliseconds): an incremental read of a large estate then looks at few assets.
func (e *Estate) TouchedSince(since int64) ([]int, bool) {
	if since <= e.asOf {
		return nil, false
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Sorted(maps.Keys(e.overlay)), true
}
