"""The interactions table, its split, vocabulary and catalogue."""
