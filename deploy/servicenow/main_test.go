package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheUpdateSetIsThatOfTheMapping(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile("qbridge-tables.xml")
	require.NoError(t, err)
	var want strings.Builder
	require.NoError(t, write(&want))
	require.Equal(t, want.String(), string(have), "the mapping has changed: go run ./deploy/servicenow > deploy/servicenow/qbridge-tables.xml")
}
