"""The page of what was tried to break the service, made of what the trials themselves have kept."""
