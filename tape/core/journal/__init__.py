"""The journal: the only place with SQL. `views` (the read side) is light; everything else imports sqlmodel."""
