package asset

import (
	"net/netip"
	"slices"
	"strings"
)

// sharedMACs are addresses that drivers give to every machine: host-only adapters
// of VMware and VirtualBox, VPN clients, loopback and dial-up adapters.
var sharedMACs = map[string]bool{
	"00:50:56:c0:00:01": true, "00:50:56:c0:00:08": true, "0a:00:27:00:00:00": true, "00:05:9a:3c:7a:00": true, "00:05:9a:3c:78:00": true,
	"02:00:4c:4f:4f:50": true, "02:50:41:00:00:01": true, "00:09:0f:fe:00:01": true, "00:09:0f:aa:00:01": true,
	"20:41:53:59:4e:ff": true, "50:50:54:50:30:30": true, "00:53:45:00:00:00": true,
}

// floatingMACs begin addresses that move between the routers of a group: VRRP
// (RFC 9568), HSRP versions 1 and 2, GLBP.
var floatingMACs = []string{"00:00:5e:00:01:", "00:00:5e:00:02:", "00:00:0c:07:ac:", "00:00:0c:9f:f", "00:07:b4:00:"}

// shared reports whether a canonical MAC address says nothing about one machine.
func shared(mac string) bool {
	return sharedMACs[mac] || slices.ContainsFunc(floatingMACs, func(p string) bool { return strings.HasPrefix(mac, p) })
}

// MAC returns a MAC address in lower case with colons, or "" when it is not six
// bytes, is zero, broadcast or multicast, or is one that many machines share.
// Solaris leaves out the leading zeros of bytes ("0:14:4f:1:2:3"): they are added.
func MAC(raw string) string {
	var hex [12]byte
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c >= 'A' && c <= 'F':
			c += 'a' - 'A'
		case c == ':' || c == '-' || c == '.' || c == ' ':
			continue
		default:
			return ""
		}
		if n == len(hex) {
			return ""
		}
		hex[n] = c
		n++
	}
	if n < len(hex) {
		if padded := padMAC(raw); padded != "" {
			return MAC(padded)
		}
	}
	if n != len(hex) || string(hex[:]) == "000000000000" || strings.IndexByte("13579bdf", hex[1]) >= 0 {
		return "" // the lowest bit of the first byte says multicast; broadcast has it too
	}
	var out [17]byte
	for i, o := 0, 0; i < len(hex); i += 2 {
		if i > 0 {
			out[o] = ':'
			o++
		}
		out[o], out[o+1] = hex[i], hex[i+1]
		o += 2
	}
	if mac := string(out[:]); !shared(mac) {
		return mac
	}
	return ""
}

// padMAC adds the leading zeros to six bytes of one or two digits that are told
// apart by colons or hyphens. It returns twelve digits, or "".
func padMAC(raw string) string {
	var out [12]byte
	n, digits := 0, 0 // bytes begun; digits of the last one
	for i := 0; i <= len(raw); i++ {
		if i == len(raw) || raw[i] == ':' || raw[i] == '-' {
			if digits < 1 || digits > 2 || n == 6 {
				return ""
			}
			out[2*n], out[2*n+1] = '0', raw[i-1]
			if digits == 2 {
				out[2*n] = raw[i-2]
			}
			n, digits = n+1, 0
			continue
		}
		if !isHex(raw[i]) {
			return ""
		}
		digits++
	}
	if n != 6 {
		return ""
	}
	return string(out[:])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// IP returns an address in canonical form, or "" when it is invalid or cannot
// stand for a host: unspecified, loopback, link-local, multicast, broadcast.
func IP(raw string) string {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return ""
	}
	a, err := netip.ParseAddr(raw)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a == broadcast {
		return ""
	}
	return a.String()
}

// firstIP returns the first usable address of a comma-separated list.
func firstIP(list string) string {
	for part := range strings.SplitSeq(list, ",") {
		if ip := IP(part); ip != "" {
			return ip
		}
	}
	return ""
}

func ipVersion(ip string) string {
	if strings.Contains(ip, ":") {
		return "6"
	}
	return "4"
}

// netmaskFor returns an IPv4 netmask for an IPv4 address, else "".
func netmaskFor(ip, mask string) string {
	if ip == "" || ipVersion(ip) == "6" {
		return ""
	}
	a, err := netip.ParseAddr(strings.TrimSpace(mask))
	if err != nil || !a.Is4() || a.IsUnspecified() {
		return ""
	}
	return a.String()
}
