"""Chat templates: the model file's own, rendered in a child process that can be killed, and the built-in one."""
