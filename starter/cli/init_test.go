package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/cli"
)

func TestInitWritesADocumentThatIsValidAndSaysWhatTheWorkerNeeds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "qbridge.yaml")
	flags := []string{"init", path, "--yes", "--offline", "--platform", "EU1", "--servicenow-url", "https://example.service-now.com", "--servicenow-auth", "oauth-client-credentials", "--every", "daily 02:30"}
	code, out, errs := (&world{}).run(t, flags...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "QBRIDGE_SECRET_SN_CLIENT_SECRET")
	require.Contains(t, out, "next: qbridge apply "+path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	code, out, errs = (&world{}).run(t, "validate", path)
	require.Zero(t, code, out+errs)

	code, _, errs = (&world{}).run(t, flags...)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "--force")
	code, _, errs = (&world{}).run(t, append(flags, "--force", "--platform", "US9")...)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, `platform: "US9" is none of US1`)
}

func TestInitAsksLineByLineWhatItIsNotTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "qbridge.yaml")
	answers := strings.Join([]string{
		"2",         // platform: US2
		"1",         // api: csam
		"1", "corp", // password, name
		"not an address", // refused, and asked again
		"https://example.service-now.com", "1", "prod", "SG-Qualys",
		"servers", "15m", "1", "2", "1",
	}, "\n") + "\n"
	w := &world{stdin: answers}
	code, out, errs := w.run(t, "init", path, "--offline", "-o", "json")
	require.Zero(t, code, out+errs)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	cfg, err := config.Decode(path, data)
	require.NoError(t, err)
	require.Empty(t, cfg.Validate())
	require.Equal(t, "US2", cfg.Qualys[0].Platform)
	require.Equal(t, "servers", cfg.Schedules[0].Name)
	require.Equal(t, config.ApprovalManual, cfg.Schedules[0].Approval)
	var shown struct{ File string }
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.Equal(t, path, shown.File)
}

func TestInitTakesAnswersFromAFileAndFlagsGoBeforeThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	answers, path := filepath.Join(dir, "answers.yaml"), filepath.Join(dir, "qbridge.yaml")
	require.NoError(t, os.WriteFile(answers, []byte("platform: US3\nservicenow-url: https://example.service-now.com\nschedule: nightly\n"), 0o600))
	code, out, errs := (&world{}).run(t, "init", path, "--yes", "--offline", "--answers", answers, "--platform", "EU2")
	require.Zero(t, code, out+errs)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), "platform: EU2")
	require.Contains(t, string(data), "name: nightly")
	require.NoError(t, os.WriteFile(answers, []byte("planform: US3\n"), 0o600))
	code, _, errs = (&world{}).run(t, "init", path, "--yes", "--force", "--answers", answers)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "planform")
}
