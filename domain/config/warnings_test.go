package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/config"
)

func TestSchedulesThatMaySelectTheSameAssetsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	linux := config.Schedule{Name: "linux", Source: "corp", Target: "prod", Filter: "operatingSystem.category1:Linux"}
	for name, c := range map[string]struct {
		edit func(*config.Schedule)
		want bool
	}{
		"no filter selects all":                {func(s *config.Schedule) { s.Filter = "" }, true},
		"another field may hold as well":       {func(s *config.Schedule) { s.Filter = "asset.truRisk>500" }, true},
		"filters that exclude each other":      {func(s *config.Schedule) { s.Filter = "operatingSystem.category1:Windows" }, false},
		"another subscription":                 {func(s *config.Schedule) { s.Source = "lab" }, false},
		"another instance":                     {func(s *config.Schedule) { s.Target = "test" }, false},
		"the catalogue writes other things":    {func(s *config.Schedule) { s.Kind = config.KindSoftwareCatalogue }, false},
		"the default kind by name is no other": {func(s *config.Schedule) { s.Kind = config.KindInventory }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := linux
			other.Name = "other"
			c.edit(&other)
			got := (&config.Config{Schedules: []config.Schedule{linux, other}}).Warnings()
			if !c.want {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0].String(), "schedules[1]: other and linux may select the same assets")
		})
	}
}

func TestARunEveryFewSecondsIsWarnedAbout(t *testing.T) {
	t.Parallel()
	got := (&config.Config{Schedules: []config.Schedule{{Name: "a", Every: config.Duration(2 * time.Second)}}}).Warnings()
	require.Len(t, got, 1)
	require.Contains(t, got[0].String(), "5400 calls to Qualys an hour")
}

func TestValuesThatGoRoundInACircleAreWarnedAbout(t *testing.T) {
	t.Parallel()
	in := config.Schedule{Name: "servers", Source: "corp", Target: "prod", Direction: config.DirectionToServiceNow, Sections: map[string]bool{"owner": true, "location": true}}
	out := config.Schedule{Name: "owners", Source: "prod", Target: "corp", Direction: config.DirectionToQualys, Kind: config.KindMetadata}
	places := func(in, out config.Schedule) []string {
		var list []string
		for _, p := range (&config.Config{Schedules: []config.Schedule{in, out}}).Warnings() {
			list = append(list, p.Place)
			require.Contains(t, p.String(), "metadata.fields of owners")
		}
		return list
	}
	require.Equal(t, []string{"schedules[0].sections.location", "schedules[0].sections.owner"}, places(in, out))
	apart := out
	apart.Metadata.Fields = map[string]string{"ownedBy": "", "managedBy": "", "supportedBy": "", "supportGroup": "", "assignedLocation.name": ""}
	require.Empty(t, places(in, apart))
	elsewhere := out
	elsewhere.Target = "lab"
	require.Empty(t, places(in, elsewhere))
	in.Sections = map[string]bool{"owner": false, "software": true}
	require.Empty(t, places(in, out))
}
