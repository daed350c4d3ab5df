"""From the tokens of a reply to its reasoning, content and tool calls, as they come."""
