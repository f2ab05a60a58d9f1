"""No subscriptions: everything is free of charge."""
