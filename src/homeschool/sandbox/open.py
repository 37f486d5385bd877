"""The sandbox of this process, by one call: `shared_sandbox()`."""

from homeschool.sandbox.pool import Sandbox, shared_sandbox

__all__ = ["Sandbox", "shared_sandbox"]
