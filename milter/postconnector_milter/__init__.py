"""The milter: shows mail by sendmail(1), or all mail, to the rules before Postfix queues it."""
