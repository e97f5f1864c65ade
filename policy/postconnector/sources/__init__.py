"""Where connectors come from: files in, an organization and problems out."""
