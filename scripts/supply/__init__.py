"""What the service is made of: locked, listed in a bill of materials, looked up in advisories."""
