"""Writing organizations: TOML, JSON, PowerShell commands; and editing a TOML file in place."""
