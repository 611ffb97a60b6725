package payload_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// Positions in the payload of attributed.
const (
	mainA = iota
	datacenter
	addressA
	instanceA
	mainB
	addressB
)

// attributed is a payload of two records: c/1 runs in a datacenter, c/2 does not.
func attributed(t *testing.T) *payload.Payload {
	t.Helper()
	one, two := rec("c/1", 1, "name=a"), rec("c/2", 1, "name=b")
	inCloud(one.Parts, "a1", "r1", "i-1")
	all := payload.Cut([]payload.Input{one, two}, knownIDs, nil, payload.Limits{Lanes: 1, Items: 100, Bytes: 1 << 20})
	require.Len(t, all, 1)
	var keys []string
	for i := range all[0].Items {
		keys = append(keys, all[0].Items[i].Key)
	}
	require.Equal(t, []string{"c/1", "aws/a1/r1", "c/1/ip/10.0.0.0", "c/1/vm", "c/2", "c/2/ip/10.0.0.0"}, keys)
	return &all[0]
}

// unchanged is an answer that changed nothing.
func unchanged(p *payload.Payload) *payload.Answer {
	a := &payload.Answer{}
	for i := range p.Items {
		a.Items = append(a.Items, payload.ItemAnswer{Class: p.Items[i].Class, Operation: payload.OpNoChange, SysID: "id-" + p.Items[i].Key})
	}
	for range p.Relations {
		a.Relations = append(a.Relations, payload.RelationAnswer{Operation: payload.OpNoChange})
	}
	return a
}

func broken(code, text string) payload.ItemAnswer {
	return payload.ItemAnswer{Errors: []payload.Message{{Code: code, Text: text}}}
}

func by(identifier string) []payload.Attempt {
	return []payload.Attempt{{Result: "NO_MATCH", Info: "sys_object_source NO_MATCH"}, {Identifier: identifier, Result: "MATCHED"}}
}

func TestAttributeTellsEachRecordItsOutcome(t *testing.T) {
	t.Parallel()

	first := map[string]bool{"c/1": true}
	same := payload.Result{Owner: "c/1", Outcome: record.Unchanged, Class: "cmdb_ci_linux_server", SysID: "id-c/1"}
	with := func(change func(*payload.Result)) payload.Result { r := same; change(&r); return r }
	failed := func(reason string) payload.Result {
		return with(func(r *payload.Result) { r.Outcome, r.Reason, r.SysID = record.Failed, reason, "" })
	}
	updated := with(func(r *payload.Result) { r.Outcome = record.Updated })
	for _, c := range []struct {
		name          string
		change        func(*payload.Answer)
		prior, linked map[string]bool
		want          payload.Result // of c/1
	}{
		{"nothing changed", func(*payload.Answer) {}, nil, nil, same},
		{"the main CI was inserted", func(a *payload.Answer) { a.Items[mainA].Operation = payload.OpInsert }, nil, nil,
			with(func(r *payload.Result) { r.Outcome, r.Inserted = record.Created, true })},
		{"the main CI was updated", func(a *payload.Answer) { a.Items[mainA].Operation = payload.OpUpdate }, nil, nil, updated},
		{"the class was upgraded", func(a *payload.Answer) {
			a.Items[mainA].Operation, a.Items[mainA].Class = payload.OpUpdateUpgrade, "cmdb_ci_linux_server_x"
		}, nil, nil, with(func(r *payload.Result) { r.Outcome, r.Class = record.Updated, "cmdb_ci_linux_server_x" })},
		{"the class was switched", func(a *payload.Answer) { a.Items[mainA].Operation = payload.OpUpdateSwitch }, nil, nil, updated},
		{"only a part was inserted", func(a *payload.Answer) { a.Items[addressA].Operation = payload.OpInsert }, nil, nil, updated},
		{"only a relation was inserted", func(a *payload.Answer) { a.Relations[0].Operation = payload.OpInsert }, nil, nil, updated},
		{"only a shared item was updated", func(a *payload.Answer) { a.Items[datacenter].Operation = payload.OpUpdate }, nil, nil, same},
		{"only the other record changed", func(a *payload.Answer) {
			a.Items[mainB].Operation, a.Items[addressB].Operation = payload.OpInsert, payload.OpInsert
		}, nil, nil, same},
		{"only the other record failed", func(a *payload.Answer) { a.Items[mainB] = broken("MULTI_MATCH", "x") }, nil, nil, same},
		{"the answer names no class", func(a *payload.Answer) { a.Items[mainA].Class = "" }, nil, nil, same},

		{"a class change was refused", func(a *payload.Answer) {
			a.Items[mainA].Class = "cmdb_ci_computer"
			a.Items[mainA].Info = []payload.Message{{Code: "OTHER"}, {Code: "SKIPPED_CLASS_SWITCH", Text: "not allowed"}}
		}, nil, nil, with(func(r *payload.Result) {
			r.Class, r.Reason = "cmdb_ci_computer", "class kept: switch from cmdb_ci_computer to cmdb_ci_linux_server is not allowed"
		})},

		{"the main CI has an error", func(a *payload.Answer) {
			a.Items[mainA] = broken("MISSING_MATCHING_ATTRIBUTES", "In payload missing minimum set of input values for table [T] '{\"values\":{}}'")
		}, nil, nil, failed("MISSING_MATCHING_ATTRIBUTES: In payload missing minimum set of input values for table [T]")},
		{"a part has an error", func(a *payload.Answer) { a.Items[addressA] = broken("MISSING_DEPENDENCY", "no relations") }, nil, nil,
			failed("cmdb_ci_ip_address: MISSING_DEPENDENCY: no relations")},
		{"a part has an error and the main CI was inserted: the CI is ours", func(a *payload.Answer) {
			a.Items[mainA].Operation, a.Items[addressA] = payload.OpInsert, broken("MISSING_DEPENDENCY", "no relations")
		}, nil, nil, with(func(r *payload.Result) {
			r.Outcome, r.Reason, r.SysID, r.Inserted = record.Failed, "cmdb_ci_ip_address: MISSING_DEPENDENCY: no relations", "", true
		})},
		{"an error without a code", func(a *payload.Answer) { a.Items[mainA] = broken("", "strange") }, nil, nil, failed("strange")},
		{"a relation has an error", func(a *payload.Answer) {
			a.Relations[0] = payload.RelationAnswer{Errors: []payload.Message{{Code: "INVALID_INPUT_DATA", Text: "no such relationship"}}}
		}, nil, nil, failed("relation Owns::Owned by: INVALID_INPUT_DATA: no such relationship")},
		{"a relation was parked", func(a *payload.Answer) { a.Relations[0].Operation = payload.OpInsertAsIncomplete }, nil, nil,
			failed("relation Owns::Owned by: INSERT_AS_INCOMPLETE")},
		{"the main CI was parked as partial, for a reason that is a warning", func(a *payload.Answer) {
			a.Items[mainA] = payload.ItemAnswer{Operation: payload.OpInsertAsPartial, Warnings: []payload.Message{{Code: "REQUIRED_ATTRIBUTE_EMPTY", Text: "name"}}}
		}, nil, nil, failed("INSERT_AS_PARTIAL: REQUIRED_ATTRIBUTE_EMPTY: name")},
		{"a part was parked as incomplete", func(a *payload.Answer) {
			a.Items[instanceA] = payload.ItemAnswer{Operation: payload.OpInsertAsIncomplete}
		}, nil, nil, failed("cmdb_ci_vm_instance: INSERT_AS_INCOMPLETE")},
		{"a shared item that it needs has an error", func(a *payload.Answer) { a.Items[datacenter] = broken("INVALID_INPUT_DATA", "gone") }, nil, nil,
			failed("cmdb_ci_aws_datacenter: INVALID_INPUT_DATA: gone")},
		{"the main CI is not mentioned", func(a *payload.Answer) { a.Items[mainA] = payload.ItemAnswer{} }, nil, nil, failed("no answer for this item")},
		{"a part is not mentioned", func(a *payload.Answer) { a.Items[addressA] = payload.ItemAnswer{} }, nil, nil, failed("cmdb_ci_ip_address: no answer for this item")},
		{"the main CI has no sys_id", func(a *payload.Answer) { a.Items[mainA].SysID = "" }, nil, nil, failed("the answer names no sys_id")},

		{"abandoned items show the root cause", func(a *payload.Answer) {
			a.Items[mainA] = broken("ABANDONED", "depends on an item with errors")
			a.Items[addressA] = broken("ABANDONED", "too")
			a.Items[instanceA] = broken("MULTI_MATCH", "the cause")
		}, nil, nil, failed("cmdb_ci_vm_instance: MULTI_MATCH: the cause")},
		{"the root cause is not hidden by what was abandoned for it", func(a *payload.Answer) {
			a.Items[mainA] = broken("MULTI_MATCH", "the cause")
			a.Items[addressA] = broken("ABANDONED", "too")
		}, nil, nil, failed("MULTI_MATCH: the cause")},
		{"the root cause may stand in a shared item", func(a *payload.Answer) {
			a.Items[datacenter] = broken("INVALID_INPUT_DATA", "gone")
			a.Items[instanceA] = broken("ABANDONED", "x")
		}, nil, nil, failed("cmdb_ci_aws_datacenter: INVALID_INPUT_DATA: gone")},
		{"the root cause may stand behind another error of the item", func(a *payload.Answer) {
			a.Items[mainA].Errors = []payload.Message{{Code: "ABANDONED", Text: "x"}, {Code: "MULTI_MATCH", Text: "y"}}
		}, nil, nil, failed("MULTI_MATCH: y")},
		{"so is what failed for want of an item that was locked", func(a *payload.Answer) {
			a.Items[instanceA], a.Items[datacenter] = broken("MISSING_DEPENDENCY", "no relations"), broken("LOCK_TIMEOUT", "Failed to acquire")
		}, nil, nil, with(func(r *payload.Result) {
			r.Outcome, r.Reason, r.SysID, r.Retry = record.Failed, "cmdb_ci_vm_instance: MISSING_DEPENDENCY: no relations", "", true
		})},
		{"a lock is worth another try", func(a *payload.Answer) { a.Items[mainA] = broken("LOCK_TIMEOUT", "Failed to acquire") }, nil, nil,
			with(func(r *payload.Result) {
				r.Outcome, r.Reason, r.SysID, r.Retry = record.Failed, "LOCK_TIMEOUT: Failed to acquire", "", true
			})},

		{"an unanswered intent of an unknown record had inserted it", func(*payload.Answer) {}, first, nil,
			with(func(r *payload.Result) { r.Outcome, r.Inserted, r.Recovered = record.Created, true, true })},
		{"also when the second write still changes something", func(a *payload.Answer) { a.Items[mainA].Operation = payload.OpUpdate }, first, nil,
			with(func(r *payload.Result) { r.Outcome, r.Inserted, r.Recovered = record.Created, true, true })},
		{"an unanswered intent of a linked record had updated it", func(*payload.Answer) {}, first, first,
			with(func(r *payload.Result) { r.Outcome, r.Recovered = record.Updated, true })},
		{"an unanswered intent that never arrived inserts now", func(a *payload.Answer) { a.Items[mainA].Operation = payload.OpInsert }, first, nil,
			with(func(r *payload.Result) { r.Outcome, r.Inserted = record.Created, true })},
		{"an unanswered intent that never arrived may match another's CI: it is not ours", func(a *payload.Answer) {
			a.Items[mainA].Operation, a.Items[mainA].Attempts = payload.OpUpdate, by("Hardware Rule")
		}, first, nil, updated},
		{"an unanswered intent that fails now is not recovered", func(a *payload.Answer) { a.Items[mainA] = broken("MULTI_MATCH", "x") }, first, nil, failed("MULTI_MATCH: x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := attributed(t)
			a := unchanged(p)
			c.change(a)
			got := payload.Attribute(p, a, c.prior, c.linked)
			require.Len(t, got, 2)
			require.Equal(t, "c/2", got[1].Owner)
			want := c.want
			if got[0].Outcome == record.Failed { // the class that a failed item names is not of interest
				want.Class = got[0].Class
			}
			if diff := cmp.Diff(want, got[0], cmpopts.IgnoreFields(payload.Result{}, "Main")); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			require.Empty(t, cmp.Diff(a.Items[mainA], got[0].Main), "the answer for the main CI is kept")
		})
	}
}

func TestAnAnswerThatLeavesAnItemOutIsSilent(t *testing.T) {
	t.Parallel()
	p := attributed(t)
	require.False(t, unchanged(p).Silent(p))
	require.True(t, (&payload.Answer{}).Silent(p))
	for i := range p.Items {
		a := unchanged(p)
		a.Items[i] = payload.ItemAnswer{}
		require.True(t, a.Silent(p))
		a.Items[i] = broken("INVALID_INPUT_DATA", "gone")
		require.False(t, a.Silent(p), "an error is an answer")
	}
}

func TestAttributeFailsEveryRecordOfAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	p := attributed(t)
	for _, r := range payload.Attribute(p, &payload.Answer{}, map[string]bool{"c/1": true}, nil) {
		require.Equal(t, record.Failed, r.Outcome)
		require.Equal(t, "no answer for this item", r.Reason)
		require.Empty(t, r.SysID)
		require.False(t, r.Inserted || r.Recovered)
	}
	require.Empty(t, payload.Attribute(&payload.Payload{}, &payload.Answer{}, nil, nil))
}

func TestAttributeKeepsReasonsShort(t *testing.T) {
	t.Parallel()
	p := attributed(t)
	a := unchanged(p)
	a.Items[mainA] = broken("INVALID_INPUT_DATA", strings.Repeat("ä", 500))
	r := payload.Attribute(p, a, nil, nil)[0]
	require.LessOrEqual(t, len(r.Reason), 210)
	require.True(t, utf8.ValidString(r.Reason))
}
