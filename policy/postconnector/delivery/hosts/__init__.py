"""Where mail for a domain, or to a smart host, is to be taken: DNS, and the order of trying."""
