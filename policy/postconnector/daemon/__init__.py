"""What our daemons have in common: where they listen, what is published, which user they are."""
