package console

import "github.com/qbridge/qbridge/worker/console/access"

// RouteOf is a route as tests see it.
type RouteOf struct {
	Pattern string
	Verb    access.Verb
}

// Routes lists the routes of a console.
func (c *Console) Routes() []RouteOf {
	var out []RouteOf
	for _, r := range c.routes() {
		out = append(out, RouteOf{r.pattern, r.verb})
	}
	return out
}
