"""Owns what a reader tells about the state of a store: findings, each with one sentence."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parslish.secret import key_file

FINDINGS_LIMIT: Final = 1000  # a store that is damaged throughout must not fill the memory


class Kind(enum.Enum):
    """What was found."""

    TORN = "torn"  #: the end of a segment that was not closed: ordinary after a kill, not worth a warning
    CORRUPT = "corrupt"  #: bytes that were durable are not what was written
    UNTRUSTED = "untrusted"  #: signed with a key that is not ours, or with none
    REFUSED = "refused"  #: others could have written it, or it is no regular file
    MISSING = "missing"  #: a base that is not there
    NEWER = "newer"  #: a format that this version does not know
    UNREADABLE = "unreadable"  #: the disk or its permissions refuse


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, at a path; `records` is how many records it costs, as far as that is known."""

    kind: Kind
    path: Path
    sentence: str
    records: int = 0

    def __str__(self) -> str:
        return f"{printable(str(self.path))}: {self.sentence}"


class Report:
    """Findings, in the order they were made; each thing once. It grows as records are read."""

    def __init__(self) -> None:
        self._unopened: dict[Path, tuple[str, set[int]]] = {}  # folder → why the first one is, and which are
        self._seen: set[Finding] = set()
        self.findings: list[Finding] = []

    def add(self, kind: Kind, path: Path, sentence: str, records: int = 0) -> None:
        """Take a finding in, unless it is known."""
        finding = Finding(kind, path, sentence, records)
        if finding not in self._seen and len(self.findings) < FINDINGS_LIMIT:
            self._seen.add(finding)
            self.findings.append(finding)

    def add_unopened(self, folder: Path, name: Hashable, why: str) -> None:
        """Take in that the value of a record in a folder cannot be opened, though what was signed is there."""
        self._unopened.setdefault(folder, (why, set()))[1].add(hash(name))

    @property
    def unopened(self) -> list[str]:
        """What to tell a user of values that cannot be opened: a sentence a folder, however many there are."""
        return [_unopened(folder, len(names), why) for folder, (why, names) in list(self._unopened.items())]

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in list(self.findings) if finding.kind is kind]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that a user should hear of: all but torn ends."""
        return [finding for finding in list(self.findings) if finding.kind is not Kind.TORN]


def told(findings: Sequence[Finding]) -> list[str]:
    """What to tell a user of findings: a sentence each, but one for all that is not signed with a key of theirs."""
    untrusted = [finding for finding in findings if finding.kind is Kind.UNTRUSTED]
    sentences = [str(finding) for finding in findings if finding.kind is not Kind.UNTRUSTED]
    return [_untrusted(untrusted), *sentences] if untrusted else sentences


def _unopened(folder: Path, count: int, why: str) -> str:
    what = "1 result cannot be opened and is" if count == 1 else f"{count} results cannot be opened and are"
    return printable(f"{folder}: {what} computed again{'' if count == 1 else '; of the first of them'}: {why}")


def _untrusted(findings: Sequence[Finding]) -> str:
    paths = list(dict.fromkeys(printable(str(finding.path)) for finding in findings))
    count = sum(finding.records for finding in findings)
    return (
        f"not opened, since not signed with a key of yours: {count} {'record' if count == 1 else 'records'} in "
        f"{paths[0]}{f' and {len(paths) - 1} files more' if paths[1:] else ''}; what they hold is computed again. To "
        f"open them, if you trust who stored them, put their key below yours in {key_file()}, or name its file in "
        f"Config(trusted_keys=[...])"
    )


def foreign() -> str:
    """What to say of the record of a run of which nothing can be read, since no key of the user's has signed it."""
    return (
        f"signed with a key that is not in {printable(str(key_file()))}: if it was one of yours, put its line back, "
        f"below the first"
    )


def printable(text: str) -> str:
    """A text as it may go to a terminal or a log: a file name that others chose may have any character."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
