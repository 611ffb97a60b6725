// Package export decides what the CMDB may tell Qualys: addresses that the
// subscription lacks, business metadata of assets it has, and CIs as third-party
// assets. It only computes; clients send, and people approve what cannot be undone.
//
//	CIs ─▶ PlanIPs ─▶ IPPlan (ranges, conflicts, left over, digest) ─▶ approval ─▶ Calls ─▶ asset/ip add
//	 │ └─▶ Correlate (link, then identifiers) ─▶ asset ids ─▶ Metadata ─▶ only what changed
//	 └───▶ ThirdParty ─▶ Connector records with identification attributes in order
//
// Addresses that were added to a subscription cannot be removed again through any
// API, so PlanIPs refuses whatever it cannot be sure of: a partial view of the
// subscription, an address that two networks claim, one that a lease may move to
// another machine.
package export
