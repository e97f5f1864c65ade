"""From one published configuration to another, so that at every moment one of them is whole. Pure.

Three things are replaced, each in one step of the file system: master.cf, main.cf, and the link
to the folder of tables. Only the replacing of main.cf, or else of the link, brings a new
configuration into force; before it, new services are added beside those in use, and after it, the
old ones go. Where that can't be, because a service changes under its name, or main.cf together
with the tables, there is a way over stand-ins.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class Step(Enum):
    """What is replaced."""

    MASTER_CF = "master.cf"
    LIVE = "live"
    MAIN_CF = "main.cf"


@dataclass(frozen=True, slots=True)
class Change:
    """One step; `services` are the entries in our block of master.cf, `main_cf` the whole file.

    `adds`: services that must be up before the next step, so that master.cf has to be taken.
    """

    step: Step
    services: Mapping[str, str] = field(default_factory=dict)
    main_cf: str = ""
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration as far as it can be told from the files.

    `main_cf`, `master_cf`: the whole files; master.cf is None when it has more than is in use.
    `services`: entries of our block in master.cf by name. `is_live`: main.cf leads to the tables in
    the folder `live`, rather than to those of stand-ins or to none.
    """

    main_cf: str
    master_cf: str | None
    services: Mapping[str, str]
    is_live: bool


def transition(
    now: Configuration, wanted: Configuration, stand_in: Callable[[], Configuration]
) -> list[Change]:
    """The steps from one to the other; `stand_in` is `wanted` under the names of stand-ins."""
    if not now.is_live or _is_one_step(now, wanted):
        return list(_direct(now, wanted))
    between = replace(stand_in(), master_cf=None)  # the old services go when all is done
    there = [c for c in _direct(now, between) if c.adds or c.step is not Step.MASTER_CF]
    return [*there, *_direct(between, wanted)]


def _is_one_step(now: Configuration, wanted: Configuration) -> bool:
    """Whether replacing the link is enough: the other services can come before and go after."""
    common = now.services.keys() & wanted.services.keys()
    return now.main_cf == wanted.main_cf and all(
        now.services[name] == wanted.services[name] for name in common
    )


def _direct(now: Configuration, then: Configuration) -> Iterator[Change]:
    """Services of the same name must be the same, or not in use now."""
    both = {**now.services, **then.services}
    if both != now.services:
        yield Change(Step.MASTER_CF, services=both, adds=True)
    if then.is_live:
        yield Change(Step.LIVE)
    if now.main_cf != then.main_cf:
        yield Change(Step.MAIN_CF, main_cf=then.main_cf)
    if then.master_cf != now.master_cf:  # or where our block stands in it
        yield Change(Step.MASTER_CF, services=then.services)
