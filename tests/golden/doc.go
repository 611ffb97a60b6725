// Package golden runs the golden set: hand-made assets in tests/fixtures/golden,
// each with what must become of it. The expectations are written from the
// vendors' documents and never copied from our output, so that the set judges
// rules and mapping and not the other way round.
//
//	case (YAML) ─▶ JSON answer ─▶ qualys.Client ─▶ cleanse ─▶ classify ─▶ map ─▶ compare with "want"
package golden
