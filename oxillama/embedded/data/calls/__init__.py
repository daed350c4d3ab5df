"""Made-up functions, requests that call them, results, and JSON answers."""
