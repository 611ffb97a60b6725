package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// SecretRef is a parsed reference to a secret; exactly one field is set.
type SecretRef struct {
	Env  string // variable QBRIDGE_SECRET_…
	File string // file name below QBRIDGE_SECRET_DIR
}

var (
	secretEnv  = regexp.MustCompile(`^QBRIDGE_SECRET_[A-Z0-9_]+$`)
	secretFile = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	variable   = regexp.MustCompile(`^QBRIDGE_[A-Z0-9_]+$`)
)

// IsReference reports whether a value is a "${…}" reference.
func IsReference(s string) bool { return strings.HasPrefix(s, "${") && strings.HasSuffix(s, "}") }

// ParseSecret parses a reference. Its errors never contain the text, which may
// be a secret that somebody wrote down.
func ParseSecret(s Secret) (SecretRef, error) {
	if !IsReference(string(s)) {
		return SecretRef{}, errors.New("is a literal, not a reference to a secret")
	}
	kind, name, _ := strings.Cut(string(s[2:len(s)-1]), ":")
	switch {
	case kind == "env" && secretEnv.MatchString(name):
		return SecretRef{Env: name}, nil
	case kind == "env":
		return SecretRef{}, errors.New("names a variable that does not begin with QBRIDGE_SECRET_")
	case kind == "file" && secretFile.MatchString(name):
		return SecretRef{File: name}, nil
	case kind == "file":
		return SecretRef{}, errors.New("names a file outside the secret directory")
	}
	return SecretRef{}, errors.New("is not a reference to a secret")
}

// ParseVariable parses "${env:QBRIDGE_…}", a reference to a variable that is not
// secret, and returns its name.
func ParseVariable(s string) (string, error) {
	if !IsReference(s) {
		return "", fmt.Errorf("%q is not a reference", s)
	}
	kind, name, _ := strings.Cut(s[2:len(s)-1], ":")
	if kind != "env" || !variable.MatchString(name) || secretEnv.MatchString(name) {
		return "", fmt.Errorf("%q does not name a variable QBRIDGE_…", s)
	}
	return name, nil
}
