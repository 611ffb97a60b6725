package qualys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxBusinessBatch is how many assets or applications one call carries: the
// vendor publishes no limit, and this many were seen to work.
const MaxBusinessBatch = 250

// AssetMetadata is what a CMDB knows of an asset. A value that is empty clears its
// field; a field that is not there stays as it is. Fields of the place are named
// "assignedLocation.city".
type AssetMetadata struct {
	AssetID int64
	Values  map[string]string
	// Applications are the ids of business applications: nil leaves them, an empty
	// list takes them away.
	Applications []string
}

// UpdateAssetMetadata writes the business metadata of assets. Refused records are
// keyed by asset id. An application must have been written before an asset names
// it.
//
// CSAM API, import asset business metadata: POST
// /rest/2.0/update/am/asset/business/metadata, at most MaxBusinessBatch assets a
// call. Its answer is not documented: what is accepted must be read back. Errors:
// KindInvalidRequest (a field, a right, the integration is off), KindRateLimited,
// KindUnknownOutcome; sending the same again is harmless.
func (c *Client) UpdateAssetMetadata(ctx context.Context, list []AssetMetadata) (Accepted, Meta, error) {
	const op = "write asset metadata"
	if err := batch(op, len(list), MaxBusinessBatch); err != nil {
		return Accepted{}, Meta{}, err
	}
	data, keys := make([]map[string]any, len(list)), make([][]string, len(list))
	for i := range list {
		id := strconv.FormatInt(list[i].AssetID, 10)
		if list[i].AssetID <= 0 {
			return Accepted{}, Meta{}, refuse(op, "asset %d of the batch has no id", i+1)
		}
		metadata, location := map[string]any{}, map[string]string{}
		for field, value := range list[i].Values {
			if inner, ok := strings.CutPrefix(field, "assignedLocation."); ok {
				location[inner] = value
			} else {
				metadata[field] = value
			}
		}
		if len(location) > 0 {
			metadata["assignedLocation"] = location
		}
		if list[i].Applications != nil {
			metadata["businessAppIds"] = list[i].Applications
		}
		data[i], keys[i] = map[string]any{"qualysAssetId": id, "metadata": metadata}, []string{id}
	}
	return c.post(ctx, op, "/rest/2.0/update/am/asset/business/metadata", map[string]any{"data": data}, keys)
}

// BusinessApp is a business application. Values are by field, name among them.
type BusinessApp struct {
	ID               string
	Values           map[string]string
	Created, Updated time.Time
}

// Paths of the call that writes business applications: the vendor's page names one
// in its heading and the other in its sample.
const (
	BusinessAppsUpdate = "/rest/2.0/update/am/businessapp/metadata"
	BusinessAppsUpsert = "/rest/2.0/upsert/am/businessapp/metadata"
)

// UpdateBusinessApps creates or updates business applications. Refused records are
// keyed by the application's id.
//
// CSAM API, import business application metadata: POST to Config.BusinessAppPath;
// where the subscription does not know it, to the other of the two documented
// paths. At most MaxBusinessBatch applications a call. Errors as in
// UpdateAssetMetadata.
func (c *Client) UpdateBusinessApps(ctx context.Context, list []BusinessApp) (Accepted, Meta, error) {
	const op = "write business applications"
	if err := batch(op, len(list), MaxBusinessBatch); err != nil {
		return Accepted{}, Meta{}, err
	}
	data, keys := make([]map[string]any, len(list)), make([][]string, len(list))
	for i := range list {
		a := &list[i]
		if a.ID == "" || a.Created.IsZero() || a.Updated.IsZero() {
			return Accepted{}, Meta{}, refuse(op, "application %d of the batch lacks its id or a date", i+1)
		}
		record := map[string]any{"businessAppId": a.ID, "created": a.Created.UnixMilli(), "lastUpdated": a.Updated.UnixMilli()}
		for field, value := range a.Values {
			record[field] = value
		}
		data[i], keys[i] = record, []string{a.ID}
	}
	path := cmp.Or(c.cfg.BusinessAppPath, BusinessAppsUpdate)
	out, meta, err := c.post(ctx, op, path, map[string]any{"data": data}, keys)
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) {
		other := BusinessAppsUpsert
		if path == other {
			other = BusinessAppsUpdate
		}
		return c.post(ctx, op, other, map[string]any{"data": data}, keys)
	}
	return out, meta, err
}

// refuse is the error of a call that is wrong before it is sent.
func refuse(op, format string, args ...any) error {
	return &Error{Op: op, Message: fmt.Sprintf(format, args...), kind: KindInvalidRequest}
}

// batch checks the size of a batch.
func batch(op string, n, most int) error {
	if n < 1 || n > most {
		return refuse(op, "a call carries 1 to %d records, not %d", most, n)
	}
	return nil
}
