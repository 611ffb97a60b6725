package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/worker/config"
)

func TestTheDefaultsListenOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	c, err := config.FromEnvironment(nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8086", c.HTTPAddr)
	require.Equal(t, "var/qbridge.db", c.StoreURL)
}

func TestOnlyOurVariablesReachConfigurations(t *testing.T) {
	t.Parallel()
	c, err := config.FromEnvironment([]string{"QBRIDGE_SECRET_X=1", "HOME=/root", "AWS_SECRET_ACCESS_KEY=2"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"QBRIDGE_SECRET_X": "1"}, c.Environment)
}

func TestBadSettingsNameTheirVariable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ env, want string }{
		{"QBRIDGE_HTTP_ADDR=0.0.0.0:8086", "QBRIDGE_API_TOKEN"},
		{"QBRIDGE_HTTP_ADDR=:8086", "QBRIDGE_API_TOKEN"},
		{"QBRIDGE_LOG_FORMAT=xml", "QBRIDGE_LOG_FORMAT"},
		{"QBRIDGE_REFRESH_EVERY=0s", "QBRIDGE_REFRESH_EVERY"},
	} {
		_, err := config.FromEnvironment([]string{c.env})
		require.ErrorContains(t, err, c.want, c.env)
	}
	_, err := config.FromEnvironment([]string{"QBRIDGE_HTTP_ADDR=0.0.0.0:8086", "QBRIDGE_API_TOKEN=t"})
	require.NoError(t, err)
}
