"""The way back: from acknowledged events to a saved checkpoint."""
