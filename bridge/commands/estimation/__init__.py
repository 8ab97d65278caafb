"""The parts of `estimate`: asking an account, and showing what comes of it."""
