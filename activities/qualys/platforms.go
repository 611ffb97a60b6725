package qualys

// platforms are the shared platforms; private ones are configured by URL.
// Source: Qualys platform identification page.
var platforms = map[string][2]string{
	"US1":  {"https://qualysapi.qualys.com", "https://gateway.qg1.apps.qualys.com"},
	"US2":  {"https://qualysapi.qg2.apps.qualys.com", "https://gateway.qg2.apps.qualys.com"},
	"US3":  {"https://qualysapi.qg3.apps.qualys.com", "https://gateway.qg3.apps.qualys.com"},
	"US4":  {"https://qualysapi.qg4.apps.qualys.com", "https://gateway.qg4.apps.qualys.com"},
	"EU1":  {"https://qualysapi.qualys.eu", "https://gateway.qg1.apps.qualys.eu"},
	"EU2":  {"https://qualysapi.qg2.apps.qualys.eu", "https://gateway.qg2.apps.qualys.eu"},
	"EU3":  {"https://qualysapi.qg3.apps.qualys.it", "https://gateway.qg3.apps.qualys.it"},
	"IN1":  {"https://qualysapi.qg1.apps.qualys.in", "https://gateway.qg1.apps.qualys.in"},
	"CA1":  {"https://qualysapi.qg1.apps.qualys.ca", "https://gateway.qg1.apps.qualys.ca"},
	"AE1":  {"https://qualysapi.qg1.apps.qualys.ae", "https://gateway.qg1.apps.qualys.ae"},
	"UK1":  {"https://qualysapi.qg1.apps.qualys.co.uk", "https://gateway.qg1.apps.qualys.co.uk"},
	"AU1":  {"https://qualysapi.qg1.apps.qualys.com.au", "https://gateway.qg1.apps.qualys.com.au"},
	"KSA1": {"https://qualysapi.qg1.apps.qualysksa.com", "https://gateway.qg1.apps.qualysksa.com"},
}

// Platform returns the API and gateway URL of a shared platform.
func Platform(name string) (apiURL, gatewayURL string, ok bool) {
	p, ok := platforms[name]
	return p[0], p[1], ok
}
