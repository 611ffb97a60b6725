package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/config"
)

func TestGoodDocumentsAreValidAndKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.good.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			c := mustDecode(t, f)
			require.Empty(t, c.Validate())
			canonical, err := config.Canonical(c)
			require.NoError(t, err)
			again, err := config.Decode("canonical", canonical)
			require.NoError(t, err)
			require.Equal(t, c, again, "the canonical form decodes to the same")
			require.Equal(t, mustDigest(t, c), mustDigest(t, again))
		})
	}
}

func TestBadDocumentsAreRefusedWithTheExpectedMessage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.bad.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			first, _, _ := strings.Cut(string(data), "\n")
			want, ok := strings.CutPrefix(first, "# want: ")
			require.True(t, ok, "the first line says what is expected")
			var got []string
			c, err := config.Decode("configuration.yaml", data)
			if err != nil {
				got = append(got, err.Error())
			} else {
				for _, p := range c.Validate() {
					got = append(got, p.String())
				}
			}
			text := strings.Join(got, "\n")
			require.Contains(t, text, want)
			require.NotContains(t, text, "hunter2", "a secret that somebody wrote down is never repeated")
			require.LessOrEqual(t, len(got), 2, "one mistake is not many messages: %s", text)
		})
	}
}

func TestAnUnknownKeyIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	_, err := config.Decode("qbridge.yaml", []byte("qualys:\n  - name: corp\n    pagesize: 3\n"))
	require.EqualError(t, err, `qbridge.yaml:3:5: unknown key "pagesize"; did you mean "pageSize"?`)
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Parallel()
	c := mustDecode(t, "testdata/minimal.good.yml")
	require.Equal(t, config.APICSAM, c.Qualys[0].API)
	require.Equal(t, 300, c.Qualys[0].PageSize)
	require.Equal(t, "SG-Qualys", c.ServiceNow[0].DiscoverySource)
	require.Equal(t, config.ExistingMetadataOnly, c.Schedules[0].Existing, "what others own is protected unless asked otherwise")
	require.Equal(t, 7*24*time.Hour, time.Duration(c.Properties.RefreshAfter))
}

func TestTheDigestIgnoresCommentsAndSpelledOutDefaults(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/minimal.good.yml")
	require.NoError(t, err)
	same, err := config.Decode("same", []byte("# a comment\n"+strings.Replace(string(data), "platform: US2", "platform: US2\n    pageSize: 300", 1)))
	require.NoError(t, err)
	other, err := config.Decode("other", []byte(strings.Replace(string(data), "US2", "EU1", 1)))
	require.NoError(t, err)
	base := mustDigest(t, mustDecode(t, "testdata/minimal.good.yml"))
	require.Equal(t, base, mustDigest(t, same))
	require.NotEqual(t, base, mustDigest(t, other))
}

func TestAConnectionCannotBeRenamed(t *testing.T) {
	t.Parallel()
	before := mustDecode(t, "testdata/minimal.good.yml")
	data, err := os.ReadFile("testdata/minimal.good.yml")
	require.NoError(t, err)
	renamed, err := config.Decode("renamed", []byte(strings.ReplaceAll(string(data), "corp", "company")))
	require.NoError(t, err)
	problems := config.CheckChange(before, renamed)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].String(), `keep the name "corp"`)
	require.Empty(t, config.CheckChange(before, before))
}

func TestDurationsKnowDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "0d": 0} {
		got, err := config.ParseDuration(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "d", "-3d", "-5m", "7 days", "99999999d", "1w"} {
		_, err := config.ParseDuration(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "7d", config.Duration(168*time.Hour).String())
	require.Equal(t, "1h30m0s", config.Duration(90*time.Minute).String())
}

func TestCalendars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Calendar{
		"daily 02:30":          {Every: "daily", Hour: 2, Minute: 30},
		"Weekly Sun 03:00":     {Every: "weekly", Weekdays: []int{0}, Hour: 3},
		"weekly fri,mon 03:00": {Every: "weekly", Weekdays: []int{1, 5}, Hour: 3},
		"monthly 28 23:59":     {Every: "monthly", Day: 28, Hour: 23, Minute: 59},
	} {
		got, err := config.ParseCalendar(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "daily", "daily 25:00", "weekly 03:00", "weekly xyz 03:00", "weekly mon,,tue 03:00", "monthly 31 04:00", "yearly 04:00", "daily 02:30 extra"} {
		_, err := config.ParseCalendar(text)
		require.Error(t, err, text)
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Decode("fuzz", data)
		if err == nil {
			c.Validate()
		}
	})
}

func mustDecode(t *testing.T, path string) *config.Config {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	c, err := config.Decode(path, data)
	require.NoError(t, err)
	return c
}

func mustDigest(t *testing.T, c *config.Config) string {
	t.Helper()
	d, err := config.Digest(c)
	require.NoError(t, err)
	return d
}
