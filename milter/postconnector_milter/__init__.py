"""The place of the milter program, for mail by sendmail(1). There is none yet."""
