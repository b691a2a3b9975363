"""What other programs leave behind, read safely."""
