"""A fuzzer of whatever others write: answers of both servers, state files, settings, requests."""
