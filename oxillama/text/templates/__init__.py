"""Chat templates: the file's own, rendered in a killable child process, and the built-in one."""
