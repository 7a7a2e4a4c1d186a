"""Classical tests."""
