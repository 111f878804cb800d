"""Where crashes are staged: scenarios, proofs, and the stand-in for the outside world."""
