package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Notify tells people what needs them: in the log always, and through the webhook
// of the active configuration if it has one.
type Notify struct {
	Settings *Settings
	Webhooks Webhooks
}

// Webhooks makes clients for webhooks.
type Webhooks interface {
	// Webhook returns the address and a client that may call it and nothing else.
	Webhook(n config.Notify) (string, *http.Client, error)
}

// Notice is what is posted to a webhook. Chat systems show its text.
type Notice struct {
	Text     string    `json:"text"`
	Event    string    `json:"event"`
	Schedule string    `json:"schedule"`
	Pending  int64     `json:"pending,omitempty"`
	Oldest   time.Time `json:"oldest,omitzero"`
}

// EventWaiting is the event of records that wait for a decision for long.
const EventWaiting = "approval.waiting"

// NotifyWaiting tells that records wait for a decision.
func (n *Notify) NotifyWaiting(ctx context.Context, in contract.Reminder) error {
	activity.GetLogger(ctx).Warn("records wait for a decision", "schedule", in.Schedule, "pending", in.Pending, "since", in.Oldest)
	return n.send(ctx, Notice{
		Text: fmt.Sprintf("%d records of schedule %s wait for a decision, the first since %s. Look at them with: qbridge staged list --schedule %s",
			in.Pending, in.Schedule, in.Oldest.UTC().Format(time.RFC3339), in.Schedule),
		Event: EventWaiting, Schedule: in.Schedule, Pending: in.Pending, Oldest: in.Oldest,
	})
}

// Send posts a notice through the webhook of the active configuration, if it has one.
func (n *Notify) Send(ctx context.Context, notice Notice) error { return n.send(ctx, notice) }

func (n *Notify) send(ctx context.Context, notice Notice) error {
	_, cfg, err := n.Settings.Config(ctx, "")
	if err != nil || cfg.Notify.Webhook == "" {
		return temporalError(err)
	}
	url, client, err := n.Webhooks.Webhook(cfg.Notify)
	if err != nil {
		return temporalError(err)
	}
	body, err := json.Marshal(notice)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return temporalError(&UserError{Message: "the webhook is not a URL such as https://host/path"})
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode >= 300 {
		return fmt.Errorf("notify: the webhook answered %s", res.Status)
	}
	return nil
}
