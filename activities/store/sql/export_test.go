package sql

import "database/sql"

// WithOpener replaces how the store opens its databases, so that a test can come
// between the store and its driver.
func (o Options) WithOpener(open func(driver, dsn string) (*sql.DB, error)) Options {
	o.open = open
	return o
}
