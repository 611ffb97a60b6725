package app

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
)

// identity names this process to Temporal and in the store's poller rows.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	// Two containers may share host name and process id.
	return fmt.Sprintf("qbridge-worker@%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// storeKind names the store without its address, which may hold a password.
func storeKind(url string) string {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return "postgresql"
	}
	return "sqlite " + strings.TrimPrefix(url, "sqlite://")
}
