"""Privacy audits, one file each; none exists yet."""
