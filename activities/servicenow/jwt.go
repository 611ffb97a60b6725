package servicenow

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// assertionLife is how long an assertion may be used: it is made for one login.
const assertionLife = 5 * time.Minute

// assertion returns a signed statement of who logs in: issuer and audience are the
// client, the subject is the user.
//
// OAuth API, JWT bearer grant; RFC 7523, signed with RS256.
func (c *Client) assertion() (string, error) {
	a := c.cfg.Auth
	key, err := signingKey(a.PrivateKey)
	if err != nil {
		return "", fmt.Errorf("servicenow: log in: connection %s %w", c.cfg.Name, err)
	}
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if a.KeyID != "" {
		header["kid"] = a.KeyID
	}
	now := c.cfg.Now()
	claims := map[string]any{
		"iss": a.ClientID, "sub": a.Username, "aud": a.ClientID,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": rand.Text(),
	}
	var parts [2]string
	for i, v := range []any{header, claims} {
		raw, err := json.Marshal(v)
		if err != nil {
			return "", fmt.Errorf("servicenow: log in: %w", err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	signed := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("servicenow: log in: sign: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signingKey reads an RSA key in PEM, PKCS #1 or #8. Errors never hold the text.
func signingKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("has no private key in PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("has a private key that is not RSA in PKCS #1 or #8, without a passphrase")
}
