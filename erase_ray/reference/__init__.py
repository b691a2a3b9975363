"""What the published reference implementation computes, defects included, to compare with."""
