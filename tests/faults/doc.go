// Package faults runs whole syncs in a bubble of virtual time, breaks everything
// that can break — vendors, network, the worker at any named point — as a seed
// says, and lets the oracles judge what is left.
//
//	seed ─▶ plan ─▶ world: both simulators behind an in-memory network
//	                  │       the store, the workflow on Temporal's test environment
//	                  └─────▶ processes: killed, frozen and thawed, replaced by the next
//	       after the last run ─▶ oracles: equal to the sequential model, unique, balanced, …
//
// `make faults SEED=17` replays one seed. The files are built with the tag
// "faults" only, like the crash points of the product.
package faults
