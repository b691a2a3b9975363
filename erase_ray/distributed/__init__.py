"""Running a plan on Ray; the only package that imports Ray, and only when a run starts."""
