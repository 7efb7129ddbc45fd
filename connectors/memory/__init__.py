"""Clicks that are in memory: tables such as data frames, and iterators."""
