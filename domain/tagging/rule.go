package tagging

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/qql"
)

// Rule types, as the vendor names them. Rules in Groovy and searches in XML are
// programs and not made from values.
const (
	RuleStatic   = "STATIC"
	RuleAsset    = "GLOBAL_ASSET_VIEW" // QQL on the inventory
	RuleCloud    = "CLOUD_ASSET"       // QQL of a cloud
	RuleBusiness = "BUSINESS_INFORMATION"
	RuleOS       = "OS_REGEX"
	RuleName     = "NAME_CONTAINS"
	RuleSoftware = "INSTALLED_SOFTWARE"
	RuleNetwork  = "NETWORK_RANGE"
	RulePorts    = "OPEN_PORTS"
	RuleVuln     = "VULN_EXIST"
)

// RuleTypes lists the rule types that a rule may be made of.
func RuleTypes() []string {
	return []string{RuleAsset, RuleCloud, RuleBusiness, RuleOS, RuleName, RuleSoftware, RuleNetwork, RulePorts, RuleVuln, RuleStatic}
}

// placeholder stands for the value in templates of names and rules.
const placeholder = "{{value}}"

// language is how a value is written into a rule.
type language int

const (
	langNone language = iota
	langQQL
	langRegex
	langNetwork
	langNumbers
)

func languageOf(ruleType string) language {
	switch ruleType {
	case RuleAsset, RuleCloud, RuleBusiness:
		return langQQL
	case RuleOS, RuleName, RuleSoftware:
		return langRegex
	case RuleNetwork:
		return langNetwork
	case RulePorts, RuleVuln:
		return langNumbers
	}
	return langNone
}

// How a backslash stands between back-ticks in QQL. The vendor's pages show no
// example, so that none is written unless the settings say which it is.
const (
	BackslashLiteral = "literal" // as it is
	BackslashEscaped = "escaped" // doubled
)

// quoteQQL writes a value between back-ticks, which compare with exactly this text.
func quoteQQL(value, backslash string) (string, error) {
	switch {
	case strings.Contains(value, "`"):
		return "", errors.New("the value has a back-tick, which Qualys documents no way to write into a rule")
	case !strings.Contains(value, `\`) || backslash == BackslashEscaped:
		return qql.Quote(value), nil
	case backslash == BackslashLiteral:
		return "`" + value + "`", nil
	}
	return "", fmt.Errorf("the value has a backslash, of which Qualys does not document how it stands in a rule: try both and set backslash to %s or %s", BackslashLiteral, BackslashEscaped)
}

// ruleText writes a value into the template of a rule. What cannot be written
// safely is an error that says why.
func ruleText(ruleType, template, value, backslash string) (string, error) {
	var safe string
	var err error
	switch languageOf(ruleType) {
	case langNone:
		return "", nil
	case langQQL:
		if safe, err = quoteQQL(value, backslash); err != nil {
			return "", err
		}
	case langRegex:
		safe = regexp.QuoteMeta(value)
	case langNetwork:
		set, err := export.ParseSet([]string{value})
		if err != nil || set.Count() == 0 {
			return "", fmt.Errorf("%q is no address, range or prefix, which a rule of type %s needs", value, ruleType)
		}
		var parts []string
		for _, r := range set.Ranges() {
			parts = append(parts, r.String())
		}
		safe = strings.Join(parts, ",")
	case langNumbers:
		var parts []string
		for part := range strings.SplitSeq(value, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 32)
			if err != nil || n == 0 || ruleType == RulePorts && n > 65535 {
				return "", fmt.Errorf("%q is no list of numbers, which a rule of type %s needs", value, ruleType)
			}
			parts = append(parts, strconv.FormatUint(n, 10))
		}
		safe = strings.Join(parts, ",")
	}
	return strings.ReplaceAll(template, placeholder, safe), nil
}

// nothing is a rule of a type that no asset satisfies, or "" where there is no
// such rule that the vendor certainly takes.
func nothing(ruleType string) string {
	switch languageOf(ruleType) {
	case langRegex:
		return `[^\s\S]`
	case langNetwork:
		return "255.255.255.255"
	}
	if ruleType == RuleAsset {
		return "asset.assetId:0"
	}
	return ""
}

// checkRule says what is wrong with the rule of an attribute.
func checkRule(ruleType, template string) error {
	switch {
	case !slices.Contains(RuleTypes(), ruleType):
		return fmt.Errorf("rule type %q is none of %s", ruleType, strings.Join(RuleTypes(), ", "))
	case ruleType == RuleStatic && template != "":
		return fmt.Errorf("a static tag has no rule: remove it, or choose a rule type")
	case ruleType != RuleStatic && !strings.Contains(template, placeholder):
		return fmt.Errorf("the rule does not hold %s, so all tags would have the same assets", placeholder)
	case languageOf(ruleType) == langQQL && inQuotes(template):
		return fmt.Errorf("%s stands between quotes: write it without, it brings its own", placeholder)
	}
	return nil
}

// inQuotes reports whether a placeholder stands within a quoted text of QQL.
func inQuotes(template string) bool {
	var quote byte
	for i := 0; i < len(template); i++ {
		c := template[i]
		switch {
		case quote != 0 && strings.HasPrefix(template[i:], placeholder):
			return true
		case quote != 0 && c == '\\':
			i++
		case quote == c:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote = c
		}
	}
	return quote != 0
}
