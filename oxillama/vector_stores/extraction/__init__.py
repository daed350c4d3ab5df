"""From a file's bytes to its text and the passages it is cut into, in a child process with limits.

`process` starts the child; `child` is what it runs, and everything else here is what that imports: the standard library
and pypdf, so that a child starts quickly.
"""
