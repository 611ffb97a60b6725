package activities

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Body is what the store keeps of a record: what will be written and what
// explains it. The rule trace is not kept: it is computed again from the inputs
// with the rules of the revision.
type Body struct {
	Name     string               `json:"name"`
	Revision string               `json:"revision"`
	Inputs   classify.Inputs      `json:"inputs"`
	Decision classify.Decision    `json:"decision"`
	Clean    []contract.CleanStep `json:"clean,omitempty"`
	Parts    *record.Parts        `json:"parts,omitempty"`
}

// Bodies encodes and decodes bodies. It is safe for concurrent use.
type Bodies struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// maxBody bounds the decoded size of one body: a host with thousands of
// packages stays far below it.
const maxBody = 32 << 20

// NewBodies returns a codec for bodies.
func NewBodies() (*Bodies, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<16))
	if err != nil {
		return nil, fmt.Errorf("activities: body encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("activities: body decoder: %w", err)
	}
	return &Bodies{enc: enc, dec: dec}, nil
}

// Inputs decodes what the rules saw of an asset and what they chose, without the
// rest of its body.
func (b *Bodies) Inputs(data []byte) (classify.Inputs, classify.Decision, error) {
	var body struct {
		Inputs   classify.Inputs   `json:"inputs"`
		Decision classify.Decision `json:"decision"`
	}
	raw, err := b.dec.DecodeAll(data, nil)
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		return body.Inputs, body.Decision, fmt.Errorf("activities: decode body: %w", err)
	}
	return body.Inputs, body.Decision, nil
}

// Pack returns the compressed JSON of a value, Unpack reads it.
func (b *Bodies) Pack(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("activities: pack: %w", err)
	}
	return b.enc.EncodeAll(raw, nil), nil
}

// Unpack reads what Pack wrote.
func (b *Bodies) Unpack(data []byte, v any) error {
	raw, err := b.dec.DecodeAll(data, nil)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return fmt.Errorf("activities: unpack: %w", err)
	}
	return nil
}

// Encode returns the compressed form of a body.
func (b *Bodies) Encode(body *Body) ([]byte, error) {
	explained := *body
	explained.Parts = nil
	raw, err := json.Marshal(&explained)
	if err != nil {
		return nil, fmt.Errorf("activities: encode body: %w", err)
	}
	if body.Parts != nil {
		raw = append(body.Parts.AppendJSON(append(raw[:len(raw)-1], `,"parts":`...)), '}')
	}
	return b.enc.EncodeAll(raw, nil), nil
}

// Decode reads a body that Encode wrote.
func (b *Bodies) Decode(data []byte) (*Body, error) {
	raw, err := b.dec.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("activities: decode body: %w", err)
	}
	var body Body
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, fmt.Errorf("activities: decode body: %w", err)
	}
	return &body, nil
}
