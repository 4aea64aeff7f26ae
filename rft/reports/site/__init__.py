"""The report of a store: pages of HTML that need no server, no script and nothing from elsewhere."""
