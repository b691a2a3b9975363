"""What every part must do, as checks that an outside package can run."""
