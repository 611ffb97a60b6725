// Package qql reads filters in Qualys Query Language, hands to the search of the
// CSAM API v2 what its filter body can express, and decides the rest on the asset.
//
//	text ─▶ Parse ─▶ Query ─▶ Plan ─▶ Pushed (filter body) + Rest (Match on the asset)
//
// The API takes no QQL: a body with an unknown key is silently ignored and brings
// everything. What is pushed down is therefore only what is documented, and may let
// more through than the filter, never less.
//
// The language, as far as the vendor documents it:
//
//	operatingSystem.category1:`Linux`            equals, whatever the case
//	operatingSystem.name:"Server 2019"           contains; so does a bare word, in which * stands for anything
//	operatingSystem.category1:[Windows, Linux]   equals one of a list
//	asset.truRisk:[500 .. 900]                   from … to, both included
//	asset.lastUpdatedDate > now-30d              <, <=, >, >=, dates as 2026-01-31 or relative to now (s, m, h, d, w)
//	openPort:(port:22 and protocol:TCP)          one element of a list satisfies both
//	not tags.name:`Lab`  hardware.model is null  and, or, not, parentheses, null tests
package qql
