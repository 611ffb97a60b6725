package estate

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"time"
)

// A certificate is real X.509 but for its signature, which is noise: whoever parses rawData finds the names and dates
// of the record, and the fingerprint is the SHA-256 of it. Written by hand, because a scan for a fingerprint makes
// every certificate of the estate.

// Tags of ASN.1.
const (
	asnBoolean   = 1
	asnInteger   = 2
	asnBits      = 3
	asnOctets    = 4
	asnOID       = 6
	asnUTF8      = 12
	asnPrintable = 19
	asnUTCTime   = 23
	asnTime      = 24
	asnSequence  = 48
	asnSet       = 49
)

// asn writes one value: tag, length, contents.
func asn(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n+5)
	out = append(out, tag)
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func oid(contents ...byte) []byte { return asn(asnOID, contents) }

// noise fills n bytes.
func noise(d dice, salt uint64, n int) []byte {
	out := make([]byte, 0, n+8)
	for i := uint64(0); len(out) < n; i++ {
		out = binary.BigEndian.AppendUint64(out, d.roll(salt<<16+i))
	}
	return out[:n]
}

func (p Party) asn() []byte {
	var sets []byte
	add := func(kind, tag byte, value string) {
		if value != "" {
			sets = append(sets, asn(asnSet, asn(asnSequence, oid(0x55, 4, kind), asn(tag, []byte(value))))...)
		}
	}
	if len(p.Country) == 2 && p.Country[0] >= 'A' {
		add(6, asnPrintable, p.Country)
	}
	add(8, asnUTF8, p.State)
	add(7, asnUTF8, p.Locality)
	add(10, asnUTF8, p.Organization)
	for _, unit := range p.Units {
		add(11, asnUTF8, unit)
	}
	add(3, asnUTF8, p.Name)
	return asn(asnSequence, sets)
}

// moment is a UTCTime up to 2049, as RFC 5280 demands.
func moment(ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	if t.Year() < 2050 {
		return asn(asnUTCTime, []byte(t.Format("060102150405Z")))
	}
	return asn(asnTime, []byte(t.Format("20060102150405Z")))
}

// publicKey is the contents of the key's bit string.
func (c *Certificate) publicKey() []byte {
	if c.KeyAlgorithm == "EC" {
		seed := noise(c.dice, 90, 32)
		// Below the order of the curve and above zero.
		seed[0], seed[31] = seed[0]&0x7f, seed[31]|1
		key, err := ecdh.P256().NewPrivateKey(seed)
		if err != nil {
			return nil
		}
		return key.PublicKey().Bytes()
	}
	modulus := noise(c.dice, 91, c.KeyBits/8)
	modulus[0] |= 0x80
	modulus[len(modulus)-1] |= 1
	return asn(asnSequence, asn(asnInteger, []byte{0}, modulus), asn(asnInteger, []byte{1, 0, 1}))
}

// keyID is the identifier of the key, SHA-256 cut to 20 bytes.
func (c *Certificate) keyID() []byte {
	sum := sha256.Sum256(c.publicKey())
	return sum[:20]
}

func (c *Certificate) keyInfo() []byte {
	algorithm := asn(asnSequence, oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1), []byte{5, 0})
	if c.KeyAlgorithm == "EC" {
		algorithm = asn(asnSequence, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1), oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7))
	}
	return asn(asnSequence, algorithm, asn(asnBits, []byte{0}, c.publicKey()))
}

func (c *Certificate) signatureAlgorithm() []byte {
	switch c.Signature {
	case "SHA256withECDSA":
		return asn(asnSequence, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2))
	case "SHA1withRSA":
		return asn(asnSequence, oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5), []byte{5, 0})
	}
	return asn(asnSequence, oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11), []byte{5, 0})
}

func (c *Certificate) extensions() []byte {
	var all []byte
	add := func(kind byte, critical bool, value []byte) {
		flag := []byte(nil)
		if critical {
			flag = asn(asnBoolean, []byte{0xff})
		}
		all = append(all, asn(asnSequence, oid(0x55, 0x1d, kind), flag, asn(asnOctets, value))...)
	}
	if c.style == authority {
		add(19, true, asn(asnSequence, asn(asnBoolean, []byte{0xff})))
		add(15, true, asn(asnBits, []byte{1, 6}))
	} else {
		add(15, true, asn(asnBits, []byte{5, 0xa0}))
		add(37, false, asn(asnSequence, oid(0x2b, 6, 1, 5, 5, 7, 3, 1)))
	}
	add(14, false, asn(asnOctets, c.keyID()))
	add(35, false, asn(asnSequence, asn(0x80, c.Issuer().keyID())))
	var names [][]byte
	for _, name := range c.DNSNames() {
		names = append(names, asn(0x82, []byte(name)))
	}
	for _, a := range c.Addresses() {
		names = append(names, asn(0x87, a.AsSlice()))
	}
	if names != nil {
		add(17, false, asn(asnSequence, names...))
	}
	return asn(0xa3, asn(asnSequence, all))
}

// DER is the certificate as it goes over the wire.
func (c *Certificate) DER() []byte {
	serial, err := hex.DecodeString(c.Serial)
	if err != nil {
		return nil
	}
	body := asn(asnSequence,
		asn(0xa0, asn(asnInteger, []byte{2})), asn(asnInteger, serial), c.signatureAlgorithm(), c.Issuer().Subject.asn(),
		asn(asnSequence, moment(c.ValidFrom), moment(c.ValidTo)), c.Subject.asn(), c.keyInfo(), c.extensions())
	return asn(asnSequence, body, c.signatureAlgorithm(), asn(asnBits, []byte{0}, noise(c.dice, 92, 256)))
}

// Hash is the fingerprint: the SHA-256 of DER in lower-case hexadecimal digits.
func (c *Certificate) Hash() string {
	sum := sha256.Sum256(c.DER())
	return hex.EncodeToString(sum[:])
}

// PEM is DER as text.
func (c *Certificate) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER()}))
}
