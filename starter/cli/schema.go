package cli

import (
	_ "embed"
	"fmt"

	"github.com/spf13/cobra"
)

// schemaJSON is the JSON Schema of the configuration. A test makes it from the
// types and compares: `go test ./starter/cli -run TestTheSchema -update` writes it.
//
//go:embed schema.json
var schemaJSON string

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `schema prints the JSON Schema of the configuration. An editor with the YAML language
server completes and checks a file that begins with

  # yaml-language-server: $schema=qbridge.schema.json

  qbridge schema > qbridge.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Stdout, schemaJSON)
			return err
		},
	}
}
