"""Reference editions of methods, one file each."""
