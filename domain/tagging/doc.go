// Package tagging turns attributes of CIs into a tree of tags in Qualys: a parent
// per attribute, below it a tag per value, whose rule finds the assets.
//
//	attributes + values ─▶ Desire ─▶ Desired ─┐
//	tags of the subscription, and ours ───────┴▶ Diff ─▶ changes in safe order + reports
//
// Tags that qbridge did not make are never touched, however they are named: what
// is ours is known by its id, which the caller keeps, and by a mark in the
// description, which survives a lost answer. Making a tag is not idempotent at the
// vendor, so a difference is always taken from what is there now.
package tagging
