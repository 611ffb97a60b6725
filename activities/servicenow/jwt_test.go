package servicenow_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	sim "github.com/qbridge/qbridge/tests/sim/servicenow"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// simulated returns a simulated instance and a function that changes it.
func simulated(t *testing.T) (*httptest.Server, func(what string, body any)) {
	t.Helper()
	s, err := sim.New(sim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server, func(what string, body any) {
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		res, err := http.Post(server.URL+"/_sim/"+what, "application/json", strings.NewReader(string(raw)))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Less(t, res.StatusCode, 300)
	}
}

func TestASignedAssertionLogsIn(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	server, change := simulated(t)
	change("oauth", map[string]string{"clientId": "jwt", "clientSecret": "s", "jwtPublicKey": pemOf("PUBLIC KEY", public)})
	client := func(a servicenow.Auth) *servicenow.Client {
		a.Type, a.ClientID, a.ClientSecret = servicenow.AuthJWTBearer, "jwt", "s"
		return basic(t, server.URL, func(c *servicenow.Config) { c.Auth, c.Now = a, time.Now })
	}
	for _, text := range []string{pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), pemOf("PRIVATE KEY", pkcs8)} {
		require.NoError(t, client(servicenow.Auth{Username: "qbridge", PrivateKey: text, KeyID: "k1"}).Authenticate(t.Context()))
	}
	foreign := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(other))
	for _, a := range []servicenow.Auth{{Username: "qbridge", PrivateKey: foreign}, {Username: "nobody", PrivateKey: pemOf("PRIVATE KEY", pkcs8)}} {
		err := client(a).Authenticate(t.Context())
		require.Equal(t, servicenow.KindUnauthorized, kind(err), "%v", err)
		require.NotContains(t, err.Error(), "PRIVATE KEY")
	}
	_, err = servicenow.New(servicenow.Config{Name: "prod", URL: "https://host", Auth: servicenow.Auth{Type: servicenow.AuthJWTBearer, Username: "u", ClientID: "c", PrivateKey: "hunter2"}})
	require.ErrorContains(t, err, "has no private key in PEM")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestAnAPIKeyIsSentAsAHeader(t *testing.T) {
	t.Parallel()
	server, change := simulated(t)
	change("users", map[string]any{"username": "robot", "roles": []string{"itil"}, "apiKey": "k-1"})
	client := func(key string) *servicenow.Client {
		return basic(t, server.URL, func(c *servicenow.Config) { c.Auth = servicenow.Auth{Type: servicenow.AuthAPIKey, APIKey: key} })
	}
	require.NoError(t, client("k-1").Authenticate(t.Context()))
	require.Equal(t, servicenow.KindUnauthorized, kind(client("k-2").Authenticate(t.Context())))
}

func TestAClientCertificateIsShown(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	var shown []*x509.Certificate
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = r.TLS.PeerCertificates
		require.Empty(t, r.Header.Get("Authorization"))
		users(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	authorities := t.TempDir() + "/ca.pem"
	require.NoError(t, os.WriteFile(authorities, []byte(pemOf("CERTIFICATE", server.Certificate().Raw)), 0o600))
	tr, err := transport.New(transport.Options{Name: "prod", CAFile: authorities, Certificate: pemOf("CERTIFICATE", der), Key: pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))})
	require.NoError(t, err)
	c := basic(t, server.URL, func(c *servicenow.Config) { c.Auth, c.Transport = servicenow.Auth{Type: servicenow.AuthMutualTLS}, tr })
	require.NoError(t, c.Authenticate(t.Context()))
	require.Len(t, shown, 1)
	require.EqualValues(t, 7, shown[0].SerialNumber.Int64())

	_, err = transport.New(transport.Options{Certificate: "x", Key: "hunter2"})
	require.ErrorContains(t, err, "are not a pair")
	require.NotContains(t, err.Error(), "hunter2")
}

func kind(err error) servicenow.Kind {
	var e *servicenow.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind()
}

func TestACallThatWasNotProcessedIsMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	down := jsonAnswer(503, `{"error":{"message":"down"}}`)
	again := func(cfg *servicenow.Config) { cfg.Retries = 2 }
	in := newInstance(t, down, down, users)
	require.NoError(t, basic(t, in.URL, again).Authenticate(t.Context()))
	require.Len(t, in.requests(), 3)

	in = newInstance(t, down, down, down, users)
	require.Equal(t, servicenow.KindUnavailable, kind(basic(t, in.URL, again).Authenticate(t.Context())))
	require.Len(t, in.requests(), 3)

	created := jsonAnswer(201, `{"result":{"sys_id":"0123456789abcdef0123456789abcdef"}}`)
	write := func(in *instance) error {
		_, _, err := basic(t, in.URL, again).CreateRow(t.Context(), "core_company", map[string]string{"name": "x"})
		return err
	}
	in = newInstance(t, jsonAnswer(425, `{"error":{"message":"too early"}}`), created)
	require.NoError(t, write(in))
	require.Len(t, in.requests(), 2)

	in = newInstance(t, jsonAnswer(500, `{"error":{"message":"broken"}}`), created)
	require.Equal(t, servicenow.KindUnknownOutcome, kind(write(in)), "it may have been processed: the caller has to look")
	require.Len(t, in.requests(), 1)
}
