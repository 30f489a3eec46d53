"""Show problems, warnings and notes as plain data."""

from __future__ import annotations

from collections.abc import Sequence

from sageturner_magic.errors import Finding, SageturnerError

Data = dict[str, object]


def finding_data(finding: Finding) -> Data:
    """A finding for programs, each part of its message in a field of its own."""
    return {
        "severity": finding.severity,
        "code": finding.code,
        "headline": finding.what,
        "where": finding.where,
        "why": finding.why,
        "remedy": finding.do,
        "details": finding.details,
        "message": str(finding),
    }


def findings_data(findings: Sequence[Finding]) -> list[Data]:
    """Findings for programs."""
    return [*map(finding_data, findings)]


def error_data(error: SageturnerError) -> Data:
    """An error for programs: its first problem, and the list of all."""
    problems = findings_data(error.findings)
    return {**problems[0], "exit_code": error.exit_code, "problems": problems}
