package estate

// mix is the finaliser of splitmix64: a cheap, well spread function of 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice gives the choices of one thing: each salt is a die of its own, so adding one does not change the others.
type dice uint64

func (d dice) roll(salt uint64) uint64 { return mix(uint64(d) ^ mix(salt)) }

// below returns a number in [0, n).
func (d dice) below(salt uint64, n int) int { return int(d.roll(salt) % uint64(n)) }

// percent is true in p of a hundred cases.
func (d dice) percent(salt uint64, p int) bool { return d.below(salt, 100) < p }

// permille is true in p of a thousand cases.
func (d dice) permille(salt uint64, p int) bool { return d.below(salt, 1000) < p }

// permute is a bijection on numbers of so many bits: two different inputs never give the same output. Serial numbers
// and MAC addresses are made with it, so that no two machines share one by accident.
func permute(bits uint, x, key uint64) uint64 {
	mask := uint64(1)<<bits - 1
	x &= mask
	for range 3 {
		key = mix(key)
		x = (x*(key|1) + key>>7) & mask
		x ^= x >> (bits/2 + 1)
	}
	return x
}

const base32 = "0123456789BCDFGHJKLMNPQRSTUVWXYZ"

// code writes x as n characters of a serial number.
func code(x uint64, n int) string {
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = base32[x&31]
		x >>= 5
	}
	return string(b)
}

const hexDigits = "0123456789abcdef"

// uuid makes a version 4 UUID from two dice.
func uuid(a, b uint64) string {
	a = a&^0xf000 | 0x4000
	b = b&^(3<<62) | 2<<62
	out := make([]byte, 0, 36)
	for i := range 16 {
		v := byte(a >> (56 - 8*(i&7)))
		if i >= 8 {
			v = byte(b >> (56 - 8*(i&7)))
		}
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexDigits[v>>4], hexDigits[v&15])
	}
	return string(out)
}

// hexOf writes the lowest n nibbles of x.
func hexOf(x uint64, n int) string {
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = hexDigits[x&15]
		x >>= 4
	}
	return string(b)
}
