"""Trying the next hops of a connector without sending mail (`postconnector test`)."""
