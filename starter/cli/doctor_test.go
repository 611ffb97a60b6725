package cli_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestDoctorPrintsEachStateWithWhatItBlocksAndWhatMendsIt(t *testing.T) {
	t.Parallel()
	good := []contract.Check{
		{Connection: "corp", Capability: "log in", OK: true, Message: "ok"},
		{Connection: "corp", Capability: "certificate view", Warning: true, Unused: true, Message: "status 403", Blocks: "certificates", Remedy: "switch it on"},
		{Connection: "dev", Capability: "plugins", Warning: true, Unknown: true, Message: "status 403", Blocks: "nothing, if they are active", Remedy: "let the user read sys_plugins"},
		{Connection: "dev", Capability: "identification", Warning: true, Message: "1 of 9 classes has no rule", Blocks: "assets of these classes", Remedy: "add rules"},
	}
	bad := append(good[:len(good):len(good)], contract.Check{Connection: "dev", Capability: "roles", Message: "status 403", Blocks: "every run that writes CIs", Remedy: "give the user the role itil"})
	for name, c := range map[string]struct {
		checks []contract.Check
		code   int
		last   string
	}{
		"what fails nothing ends with 0": {good, cli.ExitOK, ""},
		"a failure ends with 1": {bad, cli.ExitFailed, `  dev          roles                  FAILED: status 403
                                        blocks every run that writes CIs
                                      → give the user the role itil
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeTemporal{Workers: true, Result: contract.PreflightResult{Revision: "r1", Calls: 9, Checks: c.checks}}
			code, out, errs := (&world{temporal: f}).run(t, "doctor")
			require.Equal(t, c.code, code, errs)
			require.Empty(t, cmp.Diff(`  corp         log in                 ok
  corp         certificate view       not used: status 403
                                        blocks certificates
                                      → switch it on
  dev          plugins                unknown: status 403
                                        blocks nothing, if they are active
                                      → let the user read sys_plugins
  dev          identification         warning: 1 of 9 classes has no rule
                                        blocks assets of these classes
                                      → add rules
`+c.last+"tested revision r1 with 9 calls\n", out))
		})
	}
}

func TestDoctorEndsWith2ForAMistakeInTheConfiguration(t *testing.T) {
	t.Parallel()
	f := &fakeTemporal{Workers: true, Result: contract.PreflightResult{Problems: []contract.Problem{{Place: "schedules[0]", Message: "no source"}}}}
	code, out, errs := (&world{temporal: f}).run(t, "doctor")
	require.Equal(t, cli.ExitUsage, code)
	require.Empty(t, out)
	require.Contains(t, errs, "schedules[0]: no source")
}
