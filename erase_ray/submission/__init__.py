"""Result sets packed for others to check."""
