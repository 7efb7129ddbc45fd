"""Logs that grow while they are read, and those that clicks are appended to."""
