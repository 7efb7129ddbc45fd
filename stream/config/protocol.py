"""The options of the protocol: which clicks count in the figures, and up to where is learned."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec

from nextclick.connectors.clicks import LATEST_TIME
from nextclick.connectors.decoding.values import UnusableError, parse_time

from .declaration import PROTOCOL, option
from .options import MOST_CLICKS, ConfigError, parse_duration
from .source import SourceOptions, sorted_once
from .values import shown

LONGEST_SESSION = 1000
"""Clicks that a session may be asked to have: of shorter ones the ranks are kept meanwhile."""

LeaveOut = Literal["unseen", "repeats"]
"""Scored clicks that may be left out of the figures."""


class SplitPoint(msgspec.Struct, frozen=True):
    """Where the test begins: after a number or a share of the clicks, or at a time; one is given.

    Parameters
    ----------
    clicks
        After so many clicks.
    share
        After this part of all clicks of the source.
    after
        Seconds after the first click.
    time
        Epoch seconds.

    """

    clicks: int | None = None
    share: float | None = None
    after: float | None = None
    time: float | None = None

    def given(self) -> dict[str, float]:
        """Return the one that is given, by its name.

        Examples
        --------
        >>> SplitPoint(share=0.9).given()
        {'share': 0.9}

        """
        fields: dict[str, float | None] = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


def parse_test_from(value: str | int, option: str = "--test-from") -> SplitPoint:
    """Read where the test begins.

    Raises
    ------
    ConfigError
        It is no number of clicks, no percentage, no duration and no time.

    Examples
    --------
    >>> parse_test_from("5000"), parse_test_from("90%").share
    (SplitPoint(clicks=5000, share=None, after=None, time=None), 0.9)
    >>> parse_test_from("6d").after, parse_test_from("1970-01-02").time
    (518400.0, 86400.0)

    """
    text = str(value).strip()
    digits = re.sub("[_,]", "", text.removesuffix("clicks").rstrip())
    if re.fullmatch(r"\d+", digits, re.ASCII):
        if len(digits) > len(str(MOST_CLICKS)) or not 0 < int(digits) <= MOST_CLICKS:
            raise ConfigError(f"{option} must be 1 to {MOST_CLICKS:,} clicks, not {shown(value)}")
        return SplitPoint(clicks=int(digits))
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text, re.ASCII):
        if not 0 < float(match[1]) < 100:
            raise ConfigError(f"{option} must be more than 0% and less than 100%, not {text}")
        return SplitPoint(share=float(match[1]) / 100)
    if re.fullmatch(r"\d+(\.\d+)?\s*[a-z]+", text, re.ASCII):
        return SplitPoint(after=parse_duration(text, option))
    with suppress(UnusableError):
        moment = parse_time(text)
        if re.search(r"\d[-:T]", text) and 0 <= moment < LATEST_TIME:
            return SplitPoint(time=moment)
    raise ConfigError(
        f"{option} {shown(value)}: write a number of clicks such as 10000, a share of the clicks "
        'such as 90%, a time after the first click such as 6d, or a date such as "2014-09-30"'
    )


class ProtocolOptions(SourceOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the scored clicks count in the figures, and up to where clicks are learned."""

    test_from: Annotated[
        str | int | None,
        option(
            "Where the test begins: clicks before it are learned, not counted. A number of clicks "
            "(10000), a share (90%), a time after the first click (6d), or a date (2014-09-30).",
            PROTOCOL,
            fixed=True,
            default="the first click",
            value="CLICKS|SHARE|DURATION|DATE",
            parse=parse_test_from,
        ),
    ] = None
    frozen: Annotated[
        bool,
        option(
            "Learn nothing from where the test begins: there, clicks only move their sessions.",
            PROTOCOL,
            fixed=True,
        ),
    ] = False
    leave_out: Annotated[
        list[LeaveOut],
        option(
            "Scored clicks that do not count: unseen (on items never seen before), repeats (on "
            "items of the session, which are then not ranked either).",
            PROTOCOL,
            fixed=True,
            normalise=sorted_once,
        ),
    ] = msgspec.field(default_factory=list)
    min_session: Annotated[
        int,
        option(
            "Clicks that a session must have for its clicks to count.",
            PROTOCOL,
            ge=2,
            le=LONGEST_SESSION,
            fixed=True,
        ),
    ] = 2

    def __post_init__(self) -> None:
        """Check each option, and those that need others."""
        super().__post_init__()
        if self.frozen and self.test_from is None:
            raise ConfigError(
                "--frozen says that nothing is learned from where the test begins: say where with "
                "--test-from, such as --test-from 90%"
            )

    @property
    def test_start(self) -> SplitPoint | None:
        """Where the test begins; None: at the first click."""
        return None if self.test_from is None else parse_test_from(self.test_from)


def check_frozen(config: ProtocolOptions, *others: Any) -> None:
    """Check that a run whose model stops learning is for its figures only.

    Parameters
    ----------
    config
        The options of the run.
    *others
        What else it would use its model for.

    Raises
    ------
    ConfigError
        It is for other things, too.

    """
    if config.frozen and any(others):
        raise ConfigError("--frozen is for figures: leave out --serve, --shadow and --interleave")
