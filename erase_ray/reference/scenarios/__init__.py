"""Reference editions of scenarios: the protocol that the published numbers come from."""
