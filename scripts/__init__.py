"""The commands: for operators, administrators and users."""
