"""How lists, ranges and configuration files are written: text to values, with one-line errors.

--datasets a b    --datasets a --datasets b    --datasets a,b          the same list
--rho 0:1:0.05    both ends included           --seeds 3 (a count)     --seeds 0,1,7    --seeds 4:9
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hvae_core.checks import SpecError, number

MAX_POINTS = 100_000
_NEGATIVE = re.compile(r"-\.?\d")  # a number, not an option


def spread(arguments: Sequence[str], lists: Mapping[str, frozenset[str] | None]) -> list[str]:
    """Rewrite `--datasets a b` as `--datasets a --datasets b`, which is what click understands.

    `lists` names the options that take several values, each with the values that it can take, or None for any: after
    `--format png pdf results/` the list ends where a word is no format.
    """
    spread_out: list[str] = []
    current: str | None = None  # the list option whose values we are reading
    fresh = False  # whether its first value is still to come
    for i, word in enumerate(arguments):
        if word == "--":
            return spread_out + list(arguments[i:])
        if word.startswith("-") and len(word) > 1 and not _NEGATIVE.match(word):
            name = word.partition("=")[0]
            current = name if name in lists else None
            fresh = current is not None and "=" not in word
            spread_out.append(word)
        elif current is not None and not fresh:
            allowed = lists[current]
            if allowed is None or all(part in allowed for part in word.split(",")):
                spread_out += [current, word]
            else:
                current = None
                spread_out.append(word)
        else:
            fresh = False
            spread_out.append(word)
    return spread_out


def items(name: str, values: Iterable[str]) -> list[str]:
    """Split commas; raises SpecError for an empty item, a repeated one, or an empty list."""
    found = [part.strip() for value in values for part in str(value).split(",")]
    if not found or "" in found:
        raise SpecError(f"{name}: an empty item in {','.join(found)!r} is not allowed")
    unique(name, found)
    return found


def unique(name: str, values: Sequence[object]) -> None:
    """Raise SpecError where a value comes twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            raise SpecError(f"{name}: {value} is given twice")


def floats(name: str, values: Iterable[str]) -> tuple[float, ...]:
    """Read numbers and ranges `start:stop:step`, in the order given."""
    found: list[float] = []
    for item in items(name, values):
        found += [number(float(value)) for value in _range(name, item)]
    unique(name, found)
    return tuple(found)


def seeds(values: Iterable[str]) -> tuple[int, ...]:
    """Read seeds: one number is a count (3 means 0, 1, 2); several or a range `4:9` are the seeds themselves."""
    parts = items("seeds", values)
    if len(parts) == 1 and ":" not in parts[0]:
        count = _integer("seeds", parts[0])
        if not 1 <= count <= MAX_POINTS:
            raise SpecError(f"seeds: {count} is not allowed; a count must be between 1 and {MAX_POINTS}")
        return tuple(range(count))
    return whole_numbers("seeds", parts)


def whole_numbers(name: str, values: Iterable[str]) -> tuple[int, ...]:
    """Read whole numbers and ranges `first:last[:step]`, both ends included."""
    found: list[int] = []
    for part in items(name, values):
        numbers = _range(name, part, default_step=Decimal(1))
        if any(value != value.to_integral_value() for value in numbers):
            raise SpecError(f"{name}: {part!r} is not a whole number")
        found += map(int, numbers)
    unique(name, found)
    return tuple(found)


@dataclass(frozen=True)
class Kind:
    """What a setting of a configuration file may be: its types, and whether it may be a list of them."""

    types: tuple[type, ...]
    many: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Return the value, as a list where it may be one; raises SpecError. A boolean is no number, 1.5 no integer."""
        values = value if self.many and isinstance(value, list) else [value]
        for each in values:
            if not isinstance(each, self.types) or (isinstance(each, bool) and bool not in self.types):
                allowed = " or ".join(_IN_WORDS[kind] for kind in self.types)
                raise SpecError(f"config: {name} = {each!r} is not allowed; it must be {allowed}")
        return values if self.many else value


_IN_WORDS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def load_config(path: Path, known: Mapping[str, Kind], command: str) -> dict[str, Any]:
    """Read a sweep.toml of a command: option names (with - or _) and their values; raises SpecError in one line."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise SpecError(f"config: {str(path)!r} cannot be read: {reason}") from error
    settings: dict[str, Any] = {}
    of = content.pop("command", command)
    if of != command:
        raise SpecError(f"config: {str(path)!r} is for `hvae-sweep {of}`, not for `hvae-sweep {command}`")
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in known:
            raise SpecError(f"config: {key!r} in {path} is not a setting; it must be one of {', '.join(sorted(known))}")
        settings[name] = known[name].check(name, value)
    only = content.get("seeds")
    if isinstance(only, list) and len(only) == 1 and isinstance(only[0], int):
        settings["seeds"] = [f"{only[0]}:{only[0]}"]  # a list of one is that seed, not a count
    return settings


def _range(name: str, text: str, default_step: Decimal | None = None) -> list[Decimal]:
    parts = text.split(":")
    try:
        numbers = [Decimal(part) for part in parts]
        if not all(value.is_finite() for value in numbers):
            raise InvalidOperation
    except InvalidOperation:
        raise SpecError(f"{name}: {text!r} is not a number or a range start:stop:step") from None
    if len(numbers) == 1:
        return numbers
    if len(numbers) == 2 and default_step is not None:
        numbers.append(default_step)
    if len(numbers) != 3:
        raise SpecError(f"{name}: {text!r} is not a number or a range start:stop:step")
    start, stop, step = numbers
    if step == 0 or (stop - start) * step < 0:
        raise SpecError(f"{name}: {text!r} has a step of {step}, which never reaches {stop}")
    count = (stop - start) / step
    if count > MAX_POINTS:
        raise SpecError(f"{name}: {text!r} has more than {MAX_POINTS} points")
    if count != count.to_integral_value():
        raise SpecError(f"{name}: {text!r} steps past its end; both ends belong to a range")
    return [start + i * step for i in range(int(count) + 1)]


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SpecError(f"{name}: {text!r} is not a whole number") from None
