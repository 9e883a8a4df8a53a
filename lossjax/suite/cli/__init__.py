"""The command line: verbs, flags, exit codes."""
