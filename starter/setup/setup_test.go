package setup_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/setup"
)

// Every combination of answers that is allowed makes a document without problems,
// and every other is refused with the name of the flag.
func TestEveryCombinationOfAnswersIsADocumentOrARefusal(t *testing.T) {
	t.Parallel()
	choices := map[string][]string{}
	for _, q := range setup.Questions() {
		choices[q.Flag] = q.Choices
	}
	check := func(edit func(*setup.Answers)) (refused bool) {
		a := setup.Defaults()
		a.ServiceNowURL = "https://example.service-now.com"
		edit(&a)
		if a.Platform == "private" {
			a.APIURL, a.GatewayURL = "https://qualysapi.example.com", "https://gateway.example.com"
		}
		if a.API == "am" && a.QualysAuth != "password" {
			require.Contains(t, strings.Join(a.Problems(), ";"), "qualys-auth")
			return true
		}
		require.Empty(t, a.Problems())
		cfg, err := config.Decode("qbridge.yaml", []byte(a.Document()))
		require.NoError(t, err, a.Document())
		require.Empty(t, cfg.Validate(), a.Document())
		for _, s := range a.Secrets() {
			require.Contains(t, a.Document(), s)
		}
		return false
	}
	refused := 0
	for _, platform := range choices["platform"] { // which has to do with the Qualys block only
		for _, api := range choices["api"] {
			for _, auth := range choices["qualys-auth"] {
				if check(func(a *setup.Answers) { a.Platform, a.API, a.QualysAuth = platform, api, auth }) {
					refused++
				}
			}
		}
	}
	require.Equal(t, 2*len(choices["platform"]), refused)
	for _, auth := range choices["servicenow-auth"] {
		for _, secrets := range choices["secrets"] {
			for _, every := range []string{"15m", "daily 02:30", "weekly mon,thu 03:00", "manual"} {
				check(func(a *setup.Answers) { a.ServiceNowAuth, a.SecretsIn, a.Every = auth, secrets, every })
			}
		}
	}
}

func TestAnswersThatAreWrongAreNamedByTheirFlag(t *testing.T) {
	t.Parallel()
	for flag, edit := range map[string]func(*setup.Answers){
		"platform":         func(a *setup.Answers) { a.Platform = "US9" },
		"api-url":          func(a *setup.Answers) { a.APIURL = "https://x.example" },
		"gateway-url":      func(a *setup.Answers) { a.Platform, a.APIURL = "private", "https://x.example" },
		"servicenow-url":   func(a *setup.Answers) { a.ServiceNowURL = "http://example.service-now.com" },
		"qualys-name":      func(a *setup.Answers) { a.QualysName = "Corp !" },
		"discovery-source": func(a *setup.Answers) { a.DiscoverySource = "" },
		"every":            func(a *setup.Answers) { a.Every = "sometimes" },
		"secrets":          func(a *setup.Answers) { a.SecretsIn = "here" },
	} {
		a := setup.Defaults()
		a.ServiceNowURL = "https://example.service-now.com"
		require.Empty(t, a.Problems())
		edit(&a)
		problems := a.Problems()
		require.Len(t, problems, 1, flag)
		require.True(t, strings.HasPrefix(problems[0], flag+": "), problems[0])
	}
}

func TestTextsAreQuotedSoThatAnyValueStaysAValue(t *testing.T) {
	t.Parallel()
	a := setup.Defaults()
	a.ServiceNowURL = "https://example.service-now.com"
	a.DiscoverySource = `SG: "Qualys" # {x}`
	cfg, err := config.Decode("qbridge.yaml", []byte(a.Document()))
	require.NoError(t, err)
	require.Equal(t, a.DiscoverySource, cfg.ServiceNow[0].DiscoverySource)
}
