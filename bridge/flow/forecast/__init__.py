"""The forecast: what a service will cost and bring, from the figures of an account."""
