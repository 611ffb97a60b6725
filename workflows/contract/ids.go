package contract

import (
	"strconv"
	"strings"
)

// Task queues. Workflows and store activities share one; every connection has
// its own, so that its limits live in one place.
const QueueMain = "qbridge"

const (
	qualysPrefix     = "qualys."
	serviceNowPrefix = "servicenow."
)

// QualysQueue returns the task queue of a Qualys connection.
func QualysQueue(connection string) string { return qualysPrefix + connection }

// ServiceNowQueue returns the task queue of a ServiceNow connection.
func ServiceNowQueue(connection string) string { return serviceNowPrefix + connection }

// ParseQueue returns the system ("qualys" or "servicenow") and connection of a
// connection's queue, or ok=false for any other queue.
func ParseQueue(queue string) (system, connection string, ok bool) {
	for _, p := range []string{qualysPrefix, serviceNowPrefix} {
		if rest, found := strings.CutPrefix(queue, p); found && rest != "" {
			return strings.TrimSuffix(p, "."), rest, true
		}
	}
	return "", "", false
}

// ConfigWorkflowID is the id of the ApplyConfig workflow; one apply runs at a time.
const ConfigWorkflowID = "config"

// temporalSchedulePrefix marks the schedules in Temporal that are ours.
const temporalSchedulePrefix = "qbridge/"

// TemporalScheduleID returns the id, in Temporal, of a schedule.
func TemporalScheduleID(name string) string { return temporalSchedulePrefix + name }

// ScheduleOfTemporalID is the reverse of TemporalScheduleID; ok is false for
// schedules that are not ours.
func ScheduleOfTemporalID(id string) (name string, ok bool) {
	return strings.CutPrefix(id, temporalSchedulePrefix)
}

// PreflightWorkflowID returns the workflow id of a test of connections.
func PreflightWorkflowID(name string) string { return "preflight/" + name }

// ForecastWorkflowID returns the workflow id of a forecast, PinWorkflowID that of
// keeping a run.
func ForecastWorkflowID(schedule string) string { return "forecast/" + schedule }

// AdoptWorkflowID returns the workflow id of taking over CIs.
func AdoptWorkflowID(schedule string) string { return "adopt/" + schedule }

// PinWorkflowID returns the workflow id of keeping a run.
func PinWorkflowID(run string) string { return "pin/" + run }

const (
	syncPrefix     = "sync/"
	metadataPrefix = "metadata/"
	exportPrefix   = "export/"
	tagsPrefix     = "tags/"

	certificatesPrefix = "certificates/"
)

// MetadataWorkflowID returns the workflow id of a run that writes business metadata
// to Qualys.
func MetadataWorkflowID(schedule string) string { return metadataPrefix + schedule }

// ExportWorkflowID returns the workflow id of a run that adds addresses to Qualys.
func ExportWorkflowID(schedule string) string { return exportPrefix + schedule }

// TagsWorkflowID returns the workflow id of a run that makes tags in Qualys.
func TagsWorkflowID(schedule string) string { return tagsPrefix + schedule }

// AddressesKey is the key of the plan of addresses to add to a subscription.
func AddressesKey(connection string) string { return connection + "/addresses" }

// RunOf returns the workflow type and id of a schedule's runs, by the schedule's
// kind.
func RunOf(kind, schedule string) (workflow, id string) {
	switch kind {
	case "metadata":
		return ExportMetadata, MetadataWorkflowID(schedule)
	case "export", "third-party":
		return ExportAssets, ExportWorkflowID(schedule)
	case "tags":
		return ApplyTags, TagsWorkflowID(schedule)
	case "certificates":
		return SyncCertificates, CertificatesWorkflowID(schedule)
	}
	return SyncInventory, SyncWorkflowID(schedule)
}

// SummaryOf is what the Temporal UI shows of a schedule's runs.
func SummaryOf(kind, schedule string) string {
	switch kind {
	case "metadata":
		return "ServiceNow → Qualys, business metadata, schedule " + schedule
	case "export":
		return "ServiceNow → Qualys, addresses, schedule " + schedule
	case "tags":
		return "ServiceNow → Qualys, tags, schedule " + schedule
	case "third-party":
		return "ServiceNow → Qualys, third-party assets, schedule " + schedule
	case "certificates":
		return "Qualys → ServiceNow, certificates, schedule " + schedule
	}
	return "Qualys → ServiceNow, schedule " + schedule
}

// RunIDs are the ids that a schedule's runs may have, whatever its kind is.
func RunIDs(schedule string) []string {
	return []string{SyncWorkflowID(schedule), MetadataWorkflowID(schedule), ExportWorkflowID(schedule), TagsWorkflowID(schedule), CertificatesWorkflowID(schedule)}
}

// SyncWorkflowID returns the workflow id of an inventory sync. A Temporal
// schedule appends "-<time>" to it.
func SyncWorkflowID(schedule string) string { return syncPrefix + schedule }

// CertificatesWorkflowID is SyncWorkflowID for a sync of certificates.
func CertificatesWorkflowID(schedule string) string { return certificatesPrefix + schedule }

// trialSuffix marks what a trial of a schedule stages. No schedule has such a name.
const trialSuffix = "/sample"

// TrialOf returns the name under which a trial of a schedule stages its records,
// beside those of the schedule: they are looked at and never written.
func TrialOf(schedule string) string { return schedule + trialSuffix }

// TriedSchedule returns the schedule that a trial belongs to; other names are
// returned as they are.
func TriedSchedule(name string) string { return strings.TrimSuffix(name, trialSuffix) }

// ScheduleOfSyncID returns the schedule of the workflow id of a run, with or
// without the suffix that a Temporal schedule adds.
func ScheduleOfSyncID(id string) (string, bool) {
	rest, ok := "", false
	for _, prefix := range []string{syncPrefix, metadataPrefix, exportPrefix, tagsPrefix, certificatesPrefix} {
		if rest, ok = strings.CutPrefix(id, prefix); ok {
			break
		}
	}
	if !ok || rest == "" {
		return "", false
	}
	if i := len(rest) - len("-2006-01-02T15:04:05Z"); i > 0 && isScheduleSuffix(rest[i:]) {
		rest = rest[:i]
	}
	return rest, true
}

func isScheduleSuffix(s string) bool {
	const shape = "-0000-00-00T00:00:00Z"
	if len(s) != len(shape) {
		return false
	}
	for i := range shape {
		digit := s[i] >= '0' && s[i] <= '9'
		if (shape[i] == '0') != digit || (shape[i] != '0' && s[i] != shape[i]) {
			return false
		}
	}
	return true
}

// InventoryLease is the lease key of a schedule's inventory runs.
func InventoryLease(schedule string) string { return "inventory/" + schedule }

// AssetKey is the source native key of an asset's main CI and the key of its
// record.
func AssetKey(connection, assetID string) string { return connection + "/" + assetID }

// certificateKind is what the key of a certificate has behind its connection.
const certificateKind = "cert/"

// CertificateKey is the source native key of a certificate and the key of its
// record.
func CertificateKey(connection, fingerprint string) string {
	return connection + "/" + certificateKind + fingerprint
}

// MovedKey is AssetKey for an asset id that came to describe another machine:
// the CI of the machine before keeps the old key.
func MovedKey(connection string, assetID, generation int64) string {
	key := AssetKey(connection, strconv.FormatInt(assetID, 10))
	if generation > 0 {
		key += "." + strconv.FormatInt(generation, 10)
	}
	return key
}

// Search attributes. SQL visibility allows ten keywords; Written and Failures
// are ints.
const (
	AttrSchedule  = "QbridgeSchedule"
	AttrSource    = "QbridgeSource"
	AttrDirection = "QbridgeDirection"
	AttrMode      = "QbridgeMode"
	AttrStage     = "QbridgeStage"
	AttrOutcome   = "QbridgeOutcome"
	AttrWritten   = "QbridgeWritten"
	AttrFailures  = "QbridgeFailures"
)

// SearchAttributes returns our search attributes with their types ("Keyword" or
// "Int"), as `apply` registers them.
func SearchAttributes() map[string]string {
	return map[string]string{
		AttrSchedule: "Keyword", AttrSource: "Keyword", AttrDirection: "Keyword", AttrMode: "Keyword",
		AttrStage: "Keyword", AttrOutcome: "Keyword", AttrWritten: "Int", AttrFailures: "Int",
	}
}
