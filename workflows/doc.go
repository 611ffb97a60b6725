// Package workflows orchestrates runs. Everything here is deterministic: no
// clock, no I/O, no configuration from the environment; what a run needs to
// know it gets from its input and from activities.
//
//	SyncInventory:  open ─▶ check links ─▶ count ─▶ pages ─▶ retry failed ─▶ close
//	                                           fetch n+1 ║ write n
//
// One file per workflow; options.go holds every activity option, activities.go
// the references to activities, pages.go the page loop.
package workflows
