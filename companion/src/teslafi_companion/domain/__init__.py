"""Rules of accounts, links, permits and subscriptions: they know a transaction and its moment, not HTTP."""
