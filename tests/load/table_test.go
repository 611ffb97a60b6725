package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFigureIsJudgedByItsBound(t *testing.T) {
	t.Parallel()
	rows := []row{
		plain("nothing is asked", 7, "s"),
		most("at its most", 1.15, 1.05, 1.15, "×"),
		most("over its most", 1.15, 1.05, 1.16, "×"),
		most("nothing may be left", 0, 0, 0, ""),
		most("something is left", 0, 0, 1, ""),
		least("at its least", 20, 30, 20, "×"),
		least("below its least", 20, 30, 19.9, "×"),
		unmeasured("no tool", 100, 20, "not measured here: install valgrind"),
	}
	file := filepath.Join(t.TempDir(), "bench", "x.json")
	var out bytes.Buffer
	require.NoError(t, report(&out, file, map[string]any{"assets": 5}, rows))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var got struct {
		Assets int
		Rows   []struct {
			Figure              string
			Must, Aim, Measured *float64
			Met                 bool
		}
	}
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, 5, got.Assets)
	met := map[string]bool{}
	for _, r := range got.Rows {
		met[r.Figure] = r.Met
	}
	require.Equal(t, map[string]bool{
		"nothing is asked": true, "at its most": true, "over its most": false, "nothing may be left": true, "something is left": false,
		"at its least": true, "below its least": false, "no tool": false,
	}, met)
	require.Nil(t, got.Rows[7].Measured, "a figure is never made up")
	require.Contains(t, out.String(), "not measured here: install valgrind")
	require.Regexp(t, `at its least +≥ 20 +≥ 30 +20 +× +yes`, out.String())
}

func TestMemoryIsComparedWithAQuarterOfTheAssets(t *testing.T) {
	t.Parallel()
	o := loadOptions{assets: 400, out: filepath.Join(t.TempDir(), "load.json")}
	now := []row{most(peakFigure, 200, 120, 90, "MB")}
	require.Empty(t, growth(o, now), "nothing was measured before")
	require.NoError(t, report(&bytes.Buffer{}, sized(o.out, 100), map[string]any{}, []row{most(peakFigure, 200, 120, 75, "MB")}))
	got := growth(o, now)
	require.Len(t, got, 1)
	require.InDelta(t, 1.2, *got[0].Measured, 1e-9)
	judge(got)
	require.False(t, got[0].Met)
}
