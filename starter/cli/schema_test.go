package cli_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/mapping"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// choices are the values that a field may have.
var choices = map[string][]string{
	"Qualys.platform": config.Platforms, "Qualys.api": {config.APICSAM, config.APIAM},
	"QualysAuth.type":     {config.QualysPassword, config.QualysOAuth, config.QualysOIDC},
	"ServiceNowAuth.type": {config.AuthBasic, config.AuthClientCredentials, config.AuthPassword, config.AuthJWTBearer, config.AuthAPIKey, config.AuthMutualTLS},
	"Schedule.kind":       {config.KindInventory, config.KindSoftwareCatalogue, config.KindCertificates, config.KindExport, config.KindMetadata, config.KindTags, config.KindThirdParty}, "Certificates.version": config.CertificateVersions, "Schedule.direction": {config.DirectionToServiceNow, config.DirectionToQualys},
	"Schedule.overlap": {config.OverlapSkip, config.OverlapQueue}, "Schedule.mode": {config.ModeIncremental, config.ModeFull},
	"Schedule.approval":  {config.ApprovalAuto, config.ApprovalManual},
	"Schedule.operation": {config.OperationCreateAndUpdate, config.OperationCreate, config.OperationUpdate},
	"Schedule.existing":  {config.ExistingMetadataOnly, config.ExistingFull},
	"Names.form":         {asset.FormShort, asset.FormFull, asset.FormAsIs}, "Names.case": {asset.CaseLower, asset.CaseUpper, asset.CaseAsIs},
	"Condition.field": classify.Fields(), "MetadataSettings.empty": {export.EmptyKeep, export.EmptyClear},
}

// needed are the members without which an entry is refused.
var needed = map[string][]string{
	"Qualys": {"name", "auth"}, "ServiceNow": {"name", "url", "auth"}, "Schedule": {"name", "source", "target"}, "Condition": {"field"}, "Selection": {"table"}, "Rule": {"id"}, "RuleTest": {"name", "asset"},
}

func schemaOf(t *testing.T) string {
	t.Helper()
	r := &jsonschema.Reflector{RequiredFromJSONSchemaTags: true, Anonymous: true, Mapper: func(of reflect.Type) *jsonschema.Schema {
		switch of {
		case reflect.TypeOf(config.Duration(0)):
			return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+d|([0-9.]+(h|m|s|ms))+)$`, Examples: []any{"15m", "24h", "7d"}}
		case reflect.TypeOf(config.Secret("")):
			return &jsonschema.Schema{Type: "string", Pattern: `^\$\{(env:QBRIDGE_SECRET_[A-Z0-9_]+|file:[A-Za-z0-9][A-Za-z0-9._-]*)\}$`, Description: "a reference to a secret, never a secret", Examples: []any{"${env:QBRIDGE_SECRET_NAME}", "${file:name}"}}
		case reflect.TypeOf(mapping.Document{}): // its own command shows it
			return &jsonschema.Schema{Type: "object"}
		}
		return nil
	}}
	for _, pkg := range []string{"config", "classify", "approval", "export"} {
		require.NoError(t, r.AddGoComments("github.com/qbridge/qbridge/starter/cli", "../../domain/"+pkg))
	}
	s := r.Reflect(&config.Config{})
	s.Title, s.ID = "qbridge configuration", ""
	for name, def := range s.Definitions {
		def.Required = needed[name]
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			if values := choices[name+"."+p.Key]; values != nil {
				p.Value.Enum = nil
				for _, v := range values {
					p.Value.Enum = append(p.Value.Enum, v)
				}
			}
		}
	}
	sections := s.Definitions["Schedule"].Properties
	if p, ok := sections.Get("sections"); ok {
		p.PropertyNames = &jsonschema.Schema{}
		for _, name := range config.Sections {
			p.PropertyNames.Enum = append(p.PropertyNames.Enum, name)
		}
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	return string(raw) + "\n"
}

func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	t.Parallel()
	want := schemaOf(t)
	if *update {
		require.NoError(t, os.WriteFile("schema.json", []byte(want), 0o644))
	}
	code, out, errs := (&world{}).run(t, "schema")
	require.Zero(t, code, errs)
	require.Empty(t, cmp.Diff(want, out), "run: go test ./starter/cli -run TestTheSchema -update")
	for name := range choices {
		typ, field, _ := strings.Cut(name, ".")
		require.Contains(t, out, `"`+typ+`"`)
		require.Contains(t, out, `"`+field+`"`)
	}
}

// Every member of every good document is in the schema.
func TestTheSchemaKnowsWhatDocumentsSay(t *testing.T) {
	t.Parallel()
	var schema struct {
		Ref  string `json:"$ref"`
		Defs map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal([]byte(schemaOf(t)), &schema))
	files, err := filepath.Glob("../../domain/config/testdata/*.good.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		var doc map[string]any
		require.NoError(t, yaml.Unmarshal(data, &doc))
		for _, top := range slices.Sorted(keysOf(doc)) {
			require.Contains(t, schema.Defs["Config"].Properties, top, f)
		}
		for list, def := range map[string]string{"qualys": "Qualys", "servicenow": "ServiceNow", "schedules": "Schedule"} {
			entries, _ := doc[list].([]any)
			for _, e := range entries {
				for _, member := range slices.Sorted(keysOf(e.(map[string]any))) {
					require.Contains(t, schema.Defs[def].Properties, member, f)
				}
			}
		}
	}
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
