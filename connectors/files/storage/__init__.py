"""The bytes of log files, wherever and however they are kept."""
