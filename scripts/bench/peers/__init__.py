"""What the service is measured against. All but `bare` have an environment of their own."""
