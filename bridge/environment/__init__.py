"""The environment: settings and their values, and secrets in files."""
