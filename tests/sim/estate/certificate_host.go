package estate

import (
	"net/netip"
	"slices"
	"strings"
)

// CertificateHost is an asset that serves a certificate.
type CertificateHost struct {
	// Number counts the assets of the certificate, those included that exist no more.
	Number int
	// Index is the asset's, or -1: the host is not in the inventory.
	Index int
	ID    int64
}

// CertificateEndpoint is a port of an asset on which a certificate is served; the vendor calls it an instance.
type CertificateEndpoint struct {
	ID             int64
	Port           int
	FQDN, Protocol string
	Service, Grade string
	// OldProtocols is set when TLS 1.0 and 1.1 are spoken, with the ciphers of that time.
	OldProtocols bool
}

const (
	// firstUnmanaged is above every id of the inventory.
	firstUnmanaged = 7_000_000_000
	// endpointsPerCertificate and endpointsPerHost leave room for the ids of instances.
	endpointsPerCertificate = 100_000
	endpointsPerHost        = 8
)

// serves reports whether an asset is of a kind that serves certificates; it looks at the machine's kind alone.
func (e *Estate) serves(index int) bool {
	if index < 0 || index >= MaxAssets {
		return false
	}
	switch e.archs[e.archetypeOf(index)].kind {
	case WindowsServer, LinuxServer, UnixServer, MacServer, AWS, Azure, GCP, Hypervisor, LoadBalancer, Firewall, Storage:
		return true
	}
	return false
}

// counts returns on how many assets of either sort the certificate is, those included that exist no more.
func (c *Certificate) counts() (managed, unmanaged int) {
	d := dice(mix(c.e.opts.Seed+0x4057) ^ mix(uint64(c.Index)<<8))
	switch c.style {
	case authority:
		return 3, 0
	case everywhere:
		if c.e.opts.Assets >= 2*widespread {
			return widespread, 0
		}
		return max(1, c.e.opts.Assets/20), 0
	case wildcard:
		return 3 + d.below(1, 10), 0
	case shared:
		return 2 + d.below(1, 2), 0
	case foreign:
		return 0, 1 + d.below(1, 2)
	case mixed:
		return 1, 1
	}
	return 1, 0
}

// EachHost calls fn with the assets that serve the certificate and exist, until fn returns false.
func (c *Certificate) EachHost(scope Scope, fn func(CertificateHost) bool) {
	managed, unmanaged := c.counts()
	if scope != Unmanaged {
		// Some hosts are drawn twice in a small estate; they count once.
		var taken []int
		for n := range managed {
			index := c.hostIndex(n)
			if c.style != everywhere {
				if slices.Contains(taken, index) {
					continue
				}
				taken = append(taken, index)
			}
			if _, exists := c.e.state(index); exists && !fn(CertificateHost{n, index, c.e.IDAt(index)}) {
				return
			}
		}
	}
	if scope == Managed {
		return
	}
	for n := range unmanaged {
		if !fn(CertificateHost{managed + n, -1, firstUnmanaged + int64(c.Index)*4 + int64(n)}) {
			return
		}
	}
}

// HostCount is the number of assets that EachHost calls.
func (c *Certificate) HostCount(scope Scope) (n int) {
	c.EachHost(scope, func(CertificateHost) bool { n++; return true })
	return n
}

func (c *Certificate) first(scope Scope) (host CertificateHost, ok bool) {
	c.EachHost(scope, func(h CertificateHost) bool { host, ok = h, true; return false })
	return host, ok
}

// hostIndex draws the n-th asset: a server near a random place.
func (c *Certificate) hostIndex(n int) int {
	e, assets := c.e, c.e.opts.Assets
	if past := c.Index - max(0, e.opts.Certificates); past >= 0 {
		return assets + past
	}
	if c.style == everywhere {
		if assets >= 2*widespread {
			return n * assets / widespread
		}
		return n * 20 % assets
	}
	start := int(mix(mix(e.opts.Seed+0x6057)^uint64(c.Index)<<12^uint64(n)) % uint64(assets))
	for step := range min(assets, 64) {
		if index := (start + step) % assets; e.serves(index) {
			return index
		}
	}
	return start
}

var services = [...]struct {
	port int
	name string
}{{443, "https"}, {443, "https"}, {443, "https"}, {443, "https"}, {8443, "https"}, {9443, "https"}, {636, "ldaps"}, {993, "imaps"}, {5986, "winrm"}, {3389, "rdp"}, {25, "smtp"}}

// Endpoints returns the ports on which an asset serves the certificate, one to three.
func (c *Certificate) Endpoints(h CertificateHost) []CertificateEndpoint {
	d := dice(mix(c.e.opts.Seed+0xe4d) ^ mix(uint64(c.Index)<<20^uint64(h.Number)))
	count := 1
	if d.percent(1, 12) {
		count = 2 + d.below(2, 2)
	}
	start := d.below(3, len(services))
	out := make([]CertificateEndpoint, 0, count)
	for n := range count {
		s := services[(start+n*4)%len(services)]
		if slices.ContainsFunc(out, func(o CertificateEndpoint) bool { return o.Port == s.port }) {
			continue
		}
		p := CertificateEndpoint{
			ID:   int64(c.Index+1)*endpointsPerCertificate + int64(h.Number*endpointsPerHost+n),
			Port: s.port, FQDN: c.FQDN(), Protocol: "tcp", Service: s.name, OldProtocols: d.percent(uint64(10+n), 25),
		}
		p.Grade = c.grade(d, n, p.OldProtocols)
		out = append(out, p)
	}
	return out
}

// grade follows the scale of SSL Labs: T is a chain without trust, M a name that does not fit.
func (c *Certificate) grade(d dice, n int, old bool) string {
	switch {
	case c.SelfSigned || c.issuer == 6 || c.style == authority:
		return "T"
	case c.style == nulNames:
		return "M"
	case c.KeyBits == 1024:
		return "F"
	case old:
		return []string{"B", "C", "D", "E"}[d.below(uint64(20+n), 4)]
	}
	return []string{"A+", "A", "A", "A-"}[d.below(uint64(20+n), 4)]
}

// CertificateAsset is what a certificate's record says about an asset.
type CertificateAsset struct {
	ID                        int64
	UUID, NetBIOS, Name, Host string
	System                    string
	Address                   netip.Addr
	Labels                    []Label
}

// CertificateAsset computes the asset behind a host; show may be nil, or sets the labels that the asset has now. It is
// false when the asset disappeared in between.
func (r *Reader) CertificateAsset(h CertificateHost, show func(*Asset)) (CertificateAsset, bool) {
	if h.Index < 0 {
		n := h.ID - firstUnmanaged
		name := "site" + pad(int(n), 6) + ".example.net"
		return CertificateAsset{
			ID: h.ID, UUID: uuid(mix(uint64(h.ID)), mix(^uint64(h.ID))), Name: name, Host: name,
			Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}),
		}, true
	}
	a, ok := r.Asset(h.Index)
	if !ok {
		return CertificateAsset{}, false
	}
	if show != nil {
		show(a)
	}
	out := CertificateAsset{ID: a.ID, UUID: a.UUID, NetBIOS: a.NetBIOS, Name: a.Name, Host: a.Host, Address: a.Address, Labels: a.Labels}
	if a.DNSName != "" {
		out.Host = a.DNSName
	}
	if out.Labels == nil {
		for _, tag := range a.Tags {
			out.Labels = append(out.Labels, Label{TagID(tag), TagName(tag)})
		}
	}
	out.System = strings.TrimSpace(a.OS.Full)
	return out, true
}
