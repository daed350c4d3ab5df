"""Assistants, threads, messages, runs and steps as they are stored."""
