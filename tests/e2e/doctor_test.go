package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/deploy/dev/ports"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestDoctorSaysOfEachCapabilityWhetherItIsThere(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--seed", "1")
	s.mustApply()
	code, out, errs := s.cli("doctor", "-o", "json")
	require.Zero(t, code, errs)
	var res contract.PreflightResult
	require.NoError(t, json.Unmarshal([]byte(out), &res))
	lines := map[string]bool{}
	for _, c := range res.Checks {
		require.True(t, c.OK, "%+v", c)
		lines[c.Connection+" "+c.Capability] = true
	}
	for _, want := range []string{"corp reach", "corp log in", "corp read assets", "corp clock", "corp certificate view", "corp delete tags", "corp tag rules", "dev release", "dev reconciliation rules", "dev reach", "dev log in", "dev discovery source", "dev clock", "dev identification"} {
		require.True(t, lines[want], "%s is missing in %s", want, out)
	}
	require.Positive(t, res.Calls)
	s.replayAll()

	dead, err := ports.Reserve(0) // nobody listens there
	require.NoError(t, err)
	for name, c := range map[string]struct {
		from, to, line, remedy string
	}{
		"Qualys password":     {"${env:QBRIDGE_SECRET_QUALYS_PASSWORD}", "${env:QBRIDGE_SECRET_WRONG}", "corp log in", "check the user name and password"},
		"Qualys host":         {"${env:QBRIDGE_QUALYS_GATEWAY_URL}", fmt.Sprintf("http://127.0.0.1:%d", dead), "corp reach", "check the address"},
		"ServiceNow password": {"${env:QBRIDGE_SECRET_SN_PASSWORD}", "${env:QBRIDGE_SECRET_WRONG}", "dev log in", "check the credentials"},
		"discovery source":    {"SG-Qualys", "SG-Nonsense", "dev discovery source", "sys_choice"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(s.document(), c.from, c.to, 1)), 0o600))
			code, out, _ := s.cli("doctor", path, "-o", "json")
			require.Equal(t, cli.ExitFailed, code, out)
			var res contract.PreflightResult
			require.NoError(t, json.Unmarshal([]byte(out), &res))
			var failed []string
			for _, ch := range res.Checks {
				if !ch.OK {
					failed = append(failed, ch.Connection+" "+ch.Capability)
					require.Contains(t, ch.Remedy, c.remedy)
				}
			}
			require.Equal(t, []string{c.line}, failed, "exactly one line fails")
		})
	}
}

// table makes a call to the Table API.
func (s *stack) table(method, path, body string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.sims.ServiceNow.URL+"/api/now/table/"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.SetBasicAuth(s.sims.ServiceNow.Username, s.sims.ServiceNow.Password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	text, _ := io.ReadAll(res.Body)
	require.NoError(s.t, res.Body.Close())
	require.Less(s.t, res.StatusCode, 300, "%s", text)
}

func TestTheFirstRunOfARevisionTestsItsConnectionsAndCountsThatApart(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--seed", "1")
	s.mustApply()
	_, first := s.sync("--full")
	require.Positive(t, first.VendorCalls["preflight"])
	require.EqualValues(t, 2, first.VendorCalls["qualys"], "count and one page")
	_, second := s.sync("--full")
	require.Zero(t, second.VendorCalls["preflight"], "once per revision")
}

// canary is a secret that appears nowhere else.
func canary(name string) string { return "c4n4ry-" + name + "-%&+ \"'é" }

// TestNoSecretIsFoundAnywhere looks for every credential in everything that the
// product writes, after good runs, refused logins and a vendor that echoes what
// it was sent.
func TestNoSecretIsFoundAnywhere(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "3",
		"--qualys-password", canary("qualys"), "--servicenow-password", canary("servicenow"), "--client-secret", canary("client"))
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
			"message": "refused " + r.Header.Get("Authorization") + " " + user + " " + password, "detail": r.Form.Encode() + r.Form.Get("password"),
		}})
	}))
	t.Cleanup(echo.Close)
	s.restart("QBRIDGE_LOG_LEVEL=trace", "QBRIDGE_ECHO_URL="+echo.URL)
	oauth := strings.Replace(s.document(), "type: basic", "type: oauth-password\n      clientId: ${env:QBRIDGE_SECRET_SN_ID}\n      clientSecret: ${env:QBRIDGE_SECRET_SN_SECRET}", 1)
	var printed strings.Builder
	tell := func(code int, out string) { printed.WriteString(out) }
	for _, document := range []string{
		s.document(), oauth,
		strings.Replace(oauth, "${env:QBRIDGE_SERVICENOW_URL}", "${env:QBRIDGE_ECHO_URL}", 1),
		strings.Replace(s.document(), "${env:QBRIDGE_SERVICENOW_URL}", "${env:QBRIDGE_ECHO_URL}", 1),
		strings.Replace(s.document(), "${env:QBRIDGE_QUALYS_GATEWAY_URL}", "${env:QBRIDGE_ECHO_URL}", 1),
	} {
		tell(s.apply(document))
		path := filepath.Join(s.dir, "config.yaml")
		require.NoError(t, os.WriteFile(path, []byte(document), 0o600))
		for _, args := range [][]string{{"apply", "--skip-checks", path}, {"doctor", "-o", "json"}, {"run", "start", "inventory", "--full", "--wait", "-o", "json"}, {"run", "list"}, {"run", "show", "latest"}} {
			code, out, errs := s.cli(args...)
			tell(code, out+errs)
		}
	}
	require.Contains(t, printed.String(), "refused", "the vendor's words are told")
	places := map[string]string{"command line": printed.String(), "history": s.histories(), "metrics": s.text(s.url + "/metrics")}
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	require.NoError(t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		places[filepath.Base(f)] = string(data)
	}
	require.Contains(t, places, "worker.log")
	require.Contains(t, places, "qbridge.db")
	for place, text := range places {
		require.NotEmpty(t, text, place)
		for _, name := range []string{"qualys", "servicenow", "client"} {
			secret := canary(name)
			quoted, err := json.Marshal(secret)
			require.NoError(t, err)
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), "c4n4ry-" + name} {
				require.NotContains(t, text, form, "%s holds the secret of %s", place, name)
			}
		}
	}
}
