"""Events out, webhooks in: nothing of it is built yet."""
