package access

import "encoding/base64"

// encode and decode make bytes fit for a cookie.
func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func decode(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }
