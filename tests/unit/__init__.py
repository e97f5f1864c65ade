"""Tests without root, Postfix or network: what a user sees, by tables and generated cases."""
