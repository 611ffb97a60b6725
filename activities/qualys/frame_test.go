package qualys_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
)

// odd are JSON texts near the border of what is valid.
var odd = []string{
	``, ` `, `1`, `-`, `-0`, `01`, `1.`, `.5`, `1.5`, `1e`, `1e+`, `1E-7`, `-1.25e10`, `+1`, `0x1`, `NaN`, `tru`, `true`, `truex`, `nul`, `null`, `false`, `fals`,
	`"`, `""`, `"a`, `"\"`, `"\""`, `"\u12"`, `"\u12g4"`, `"\u12aF"`, `"\x"`, `"\/\b\f\n\r\t\\"`, "\"\n\"", "\"\x7f\"", "\"\x00\"", "\"\xff\"", `"𝄞"`, `"\ud800"`,
	`[]`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[[],[[]]]`, `[}`, `{}`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a" : [ 1 , { "b" : null } ] }`,
	`{"a":1}{"b":2}`, `{"a":1} x`, `{"a":"}"}`, `{"a":"\"}"}`, "\ufeff{}", `{1:2}`, `{"a":1,"a":2}`, `[1]]`, "\v1", `{"a":[{"b":"\\"}]}`,
	strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	strings.Repeat(`{"a":`, 9_999) + "{}" + strings.Repeat("}", 9_999), strings.Repeat(`{"a":`, 10_000) + "{}" + strings.Repeat("}", 10_000),
}

func TestJSONIsValidForUsAsItIsForTheStandardLibrary(t *testing.T) {
	t.Parallel()
	same := func(text []byte) {
		if want, got := json.Valid(text), qualys.Valid(text); want != got {
			t.Fatalf("%.200q: the standard library says %t", text, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, text := range odd {
		same([]byte(text))
		if len(text) > 1000 {
			continue
		}
		for range 2000 { // a byte of another text in place of one, or in between, or one less
			b := []byte(text)
			for range 1 + r.IntN(2) {
				other := odd[r.IntN(len(odd)-4)]
				i := r.IntN(len(b) + 1)
				switch {
				case len(other) == 0 || i < len(b) && r.IntN(3) == 0:
					b = append(b[:min(i, len(b))], b[min(i+1, len(b)):]...)
				default:
					b = bytes.Join([][]byte{b[:i], {other[r.IntN(len(other))]}, b[i:]}, nil)
				}
			}
			same(b)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range odd[:len(odd)-4] {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		require.Equal(t, json.Valid(text), qualys.Valid(text))
	})
}

// standard cuts a list as the standard library's decoder does.
func standard(text string) ([]string, error) {
	dec := json.NewDecoder(strings.NewReader("[" + text))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var list []string
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return list, err
		}
		list = append(list, string(raw))
	}
	_, err := dec.Token()
	return list, err
}

func TestAListIsCutAsTheStandardLibraryCutsIt(t *testing.T) {
	t.Parallel()
	var lists []string
	for _, a := range odd[:len(odd)-4] {
		lists = append(lists, a+"]", a+",1]", " 1 ,"+a+" ]", `{"x":"]"},`+a+"\n]", a, "1,"+a)
	}
	for _, text := range lists {
		want, wantErr := standard(text)
		for _, window := range []int{16, 17, 64, 4096} { // elements lie across windows
			for _, onePass := range []bool{false, true} {
				got, _, err := qualys.Elements([]byte(text), window, onePass)
				require.Equal(t, wantErr == nil, err == nil, "%q: %v, %v", text, wantErr, err)
				if err == nil {
					require.Equal(t, want, got, "%q", text)
				}
			}
		}
	}
}

func TestWhatStandsBehindAListIsLeftThere(t *testing.T) {
	t.Parallel()
	list, rest, err := qualys.Elements([]byte(` {"a":"]"} , [1,[2]] ,"x\"]",3, null ] } tail`), 64, true)
	require.NoError(t, err)
	require.Equal(t, []string{`{"a":"]"}`, `[1,[2]]`, `"x\"]"`, `3`, `null`}, list)
	require.Equal(t, " } tail", string(rest))
}

func TestCommonDatesAreThoseOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	texts := []string{
		"2025-03-02T09:00:00.000Z", "2024-02-29T23:59:59.999Z", "2025-02-29T00:00:00.000Z", "2025-04-31T00:00:00.000Z", "2025-13-01T00:00:00.000Z", "2025-00-10T00:00:00.000Z",
		"2025-01-00T00:00:00.000Z", "2025-01-01T24:00:00.000Z", "2025-01-01T23:60:00.000Z", "2025-01-01T23:59:60.000Z", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z",
		"2025-01-01 00:00:00.000Z", "2025-01-01T00:00:00.000z", "2025-01-01T00:00:00,000Z", "",
	}
	for range 20_000 {
		b := []byte(texts[r.IntN(14)])
		if i := r.IntN(len(b)); b[i] >= '0' && b[i] <= '9' {
			b[i] = byte('0' + r.IntN(10))
		}
		texts = append(texts, string(b))
	}
	read := 0
	for _, text := range texts {
		got, ok := qualys.CommonTime(text)
		want, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		if strings.Contains(text, ",") { // the standard library takes a comma too: another form
			continue
		}
		require.Equal(t, err == nil, ok, text)
		if ok {
			read++
			require.True(t, want.Equal(got), text)
		}
	}
	require.Greater(t, read, 1000)
}
