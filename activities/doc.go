// Package activities is where workflows meet the outside world. The adapters
// here are thin: they decode, call a client or the store, translate the error
// and return a small value. Decisions are pure functions in domain.
//
//	Inventory  QualysCount, QualysFetchPage         queue qualys.<connection>
//	Certificates  QualysFetchCertificates           queue qualys.<connection>
//	Write      ServiceNowCheckLinks, …WritePage     queue servicenow.<connection>
//	Ledger     LedgerOpenRun, …ClaimFailed, …CloseRun   queue qbridge
//	Config     ConfigCheck, …Store, …CheckQueue         queue qbridge
//
// Every method's name is its activity type and therefore never changes.
package activities
