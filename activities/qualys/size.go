package qualys

// PageSize returns how many assets a page holds unless a query says otherwise.
func (c *Client) PageSize() int { return c.cfg.PageSize }
