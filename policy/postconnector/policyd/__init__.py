"""The policy service: Postfix asks, for each recipient and at the end of each message."""
