"""The command postconnector: one module a subcommand, each a `Command`."""
