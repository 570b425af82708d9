"""Build checks: what is legal in a Dockerfile and most often not meant. The rules are BuildKit's, by its names."""

from executor.dockerfile.lint.checks import Surroundings, check_options, lint
from executor.dockerfile.lint.finding import BaseFacts
from executor.dockerfile.lint.rules import RULES, Rule
from executor.dockerfile.lint.selection import CheckOptions

__all__ = ["RULES", "BaseFacts", "CheckOptions", "Rule", "Surroundings", "check_options", "lint"]
