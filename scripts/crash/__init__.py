"""The service as real processes that are killed, stopped and failed: what a virtual clock can't."""
