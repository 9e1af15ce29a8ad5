"""Schemas of templates' arguments: described where they are declared, checked wherever the arguments are."""

from tidemill.templates.schema.checker import Checker, compile_form
from tidemill.templates.schema.describe import describe
from tidemill.templates.schema.schema import Schema

__all__ = ["Checker", "Schema", "compile_form", "describe"]
