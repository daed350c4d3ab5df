"""Requests and answers as they are sent: typed structs, their JSON, and errors."""
