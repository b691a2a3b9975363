"""How a run stands, from the store alone: while it goes on, after its end, and after its death."""

from erase_ray.report.status.files import RunFiles
from erase_ray.report.status.page import status_page, write_status_page
from erase_ray.report.status.read import StatusReader
from erase_ray.report.status.text import status_text

__all__ = ["RunFiles", "StatusReader", "status_page", "status_text", "write_status_page"]
