"""What `tape init` writes."""
