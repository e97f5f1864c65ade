"""The command postconnector: one module a subcommand."""
