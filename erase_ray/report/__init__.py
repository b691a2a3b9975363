"""Tables, charts and the report page, made from the store alone."""

from erase_ray.report.page import write_report
from erase_ray.report.terminal import summary_table

__all__ = ["summary_table", "write_report"]
