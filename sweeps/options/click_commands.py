"""What our commands add to click: lists of values, settings from the environment and files, errors in one line."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from rich_click import RichCommand, RichGroup, RichOptionPanel

from hvae_core.checks import SpecError
from hvae_core.data import DataError
from sweeps.errors import ERROR, HELD, NOTHING, SIGNAL, USAGE, NothingError, SchedulerError
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.claims import HeldError
from sweeps.ledger.ledger import LedgerError
from sweeps.ledger.ownership import TakenOverError
from sweeps.options import values
from sweeps.options.presets import PRESETS, QUICK

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
COMPLETION = ("_HVAE_SWEEP_COMPLETE", "_HVAE_PLOT_COMPLETE")
NOT_IN_CONFIG = {"config", "dry_run", "as_json", "plan_only", "workers", "probe", "help"}
OPTION_PANELS = {
    "Science": (
        *("--model", "--family", "--depths", "--widths", "--maps", "--hidden", "--methods", "--rho", "--refine"),
        *("--budget", "--ou-samples", "--smoothing", "--beta-top", "--kl-anneal", "--free-bits", "--iwae-k"),
        *(
            "--system",
            "--pseudo-inputs",
            "--mixture",
            "--quantity",
            "--active",
            "--compare",
            "--margin",
            "--diagnostics",
        ),
    ),
    "Training": ("--seeds", "--steps", "--batch-size", "--lr", "--precision"),
    "Data": (
        *("--datasets", "--null", "--image", "--models", "--cells", "--samples", "--examples", "--binarise"),
        *("--data-dir",),
    ),
    "Running": (
        *("--pack", "--gpus-per-trial", "--cpus-per-trial", "--address", "--max-failures", "--fail-fast"),
        *("--retry-failed", "--backend", "--array", "--ray", "--wait", "--watch", "--remove"),
        *("--dry-run", "--probe", "--plan-only", "--workers"),
    ),
    "Output": (
        *("--out", "--keep", "--eval-every", "--ll-examples", "--log", "--json"),
        *("--format", "--style", "--panels", "--axis", "--title", "--context", "--no-samples"),
    ),
    "Settings from elsewhere": ("--preset", "--quick", "--config"),
}
F = TypeVar("F", bound=Callable[..., Any])


class Command(RichCommand):
    """A command whose list options take several values, `--datasets mnist omniglot`, and whose help has examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        there = {name for param in self.params for name in param.opts}
        for title, names in OPTION_PANELS.items():
            if present := [name for name in names if name in there]:
                self.add_panel(RichOptionPanel(title, options=present))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples below everything else, one on a line."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            formatter.write("\n".join(["\n Examples:", *(f"   {example}" for example in self.examples)]))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spread lists before click reads them."""
        lists = {
            name: frozenset(param.type.choices) if isinstance(param.type, click.Choice) else None
            for param in self.params
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        ctx.meta["typed"] = tuple(args)
        return super().parse_args(ctx, values.spread(args, lists))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the second and later values of a list option too: click knows of the first alone."""
        last = next((word for word in reversed(ctx.meta.get("typed", ())) if word.startswith("-")), None)
        for param in self.params:
            if isinstance(param, click.Option) and param.multiple and last in param.opts and incomplete[:1] != "-":
                return param.shell_complete(ctx, incomplete)
        return super().shell_complete(ctx, incomplete)


class Group(RichGroup):
    """A group whose errors are one line on stderr, with the exit status of their kind; never a traceback."""

    command_class = Command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and turn what a user can cause into one line."""
        for note in misspelt(self, os.environ):
            click.echo(note, err=True)
        typed = args[0] if args else kwargs.get("args")
        completing = any(name in os.environ for name in COMPLETION)  # the shell asks without arguments
        if not completing and not (sys.argv[1:] if typed is None else typed):
            with redirect_stdout(sys.stderr):
                super().main(["--help"], kwargs.get("prog_name"), standalone_mode=False)
            sys.exit(USAGE)
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError:  # of a group within this one; its help is printed by now
            sys.exit(USAGE)
        except click.ClickException as error:
            fail(error.format_message(), error.exit_code)
        except (SpecError, DataError) as error:
            fail(str(error), USAGE)
        except (HeldError, TakenOverError) as error:
            fail(str(error), HELD)
        except NothingError as error:
            fail(str(error), NOTHING)
        except (LedgerError, DamagedFileError, SchedulerError) as error:
            fail(str(error), ERROR)
        except OSError as error:
            fail(
                f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error),
                ERROR,
            )
        except click.Abort:
            fail("interrupted", SIGNAL + 2)
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> NoReturn:
    """Print one line and leave."""
    click.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(code)


def console() -> Console:
    """Diagnostics go to stderr; rich keeps to plain lines where that is no terminal, and knows NO_COLOR."""
    return Console(stderr=True)


def setting(*names: str, environment: Sequence[str] = (), **keywords: Any) -> Callable[[F], F]:
    """Declare an option that the environment (HVAE_*, then the names given) and a configuration file can also set."""
    key = names[0].lstrip("-").replace("-", "_")
    return click.option(*names, envvar=[f"HVAE_{key.upper()}", *environment], **keywords)


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Apply option decorators so that --help lists them in this order."""

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def layer_options(command: str) -> Callable[[F], F]:
    """Declare --preset, --quick and --config of a command: defaults over its own, in that order of rising strength."""
    names = [name for name, preset in PRESETS.items() if preset.command == command]
    quick = "A small version that takes minutes on two CPU cores; with --preset, of that preset."
    preset = "Use the settings of an experiment in the paper; settings given beside it win."
    return together(
        click.option("--preset", type=click.Choice(names), is_eager=True, callback=_layer, help=preset),
        click.option("--quick", is_flag=True, is_eager=True, callback=_layer, help=quick),
        click.option(
            "--config", type=click.Path(), is_eager=True, callback=_layer, help="Read settings from this TOML file."
        ),
    )


def _layer(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Note --preset, --quick or --config, and make what is noted so far the defaults of the other options.

    click calls this for each of the three before it reads any other option, in the order in which they were typed.
    """
    noted = ctx.meta.setdefault("layers", {})
    if value not in (None, False):
        noted[param.name] = _read_config(ctx, Path(value)) if param.name == "config" else value
    config = dict(noted.get("config", {}))
    named_in_file, quick_in_file = config.pop("preset", None), bool(config.pop("quick", False))
    preset, quick = noted.get("preset") or named_in_file, noted.get("quick", False) or quick_in_file
    layers = _preset_layers(str(ctx.command.name), preset, quick)
    lists = {p.name for p in ctx.command.params if isinstance(p, click.Option) and p.multiple}
    ctx.default_map = {
        key: [setting] if key in lists and not isinstance(setting, list) else setting
        for layer in (*layers, config)
        for key, setting in layer.items()
    }
    ctx.meta["preset"] = (preset or "quick", dict.fromkeys(key for layer in layers for key in layer))
    return value


def _preset_layers(command: str, preset: str | None, quick: bool) -> list[Mapping[str, Any]]:
    """Return the settings of a preset and those of its small form, or of the command's own; raises SpecError."""
    if preset is None:
        return [QUICK[command]] if quick else []
    if preset not in PRESETS or PRESETS[preset].command != command:
        raise SpecError(f"preset: {preset!r} is not one of `hvae-sweep {command}`")
    return [PRESETS[preset].settings, *([PRESETS[preset].quick] if quick else [])]


def _read_config(ctx: click.Context, path: Path) -> dict[str, Any]:
    known = [p for p in ctx.command.params if isinstance(p, click.Option) and p.name not in NOT_IN_CONFIG]
    settings = values.load_config(path, {p.name: _kind(p) for p in known if p.name}, str(ctx.command.name))
    if (path.parent / "sweep.json").is_file():
        settings.setdefault("out", str(path.parent))  # a results directory's own request is about itself
    return settings


def spelled(settings: Mapping[str, Any], names: Iterable[str]) -> str:
    """Write settings as they would be typed."""
    words = []
    for name in names:
        value = settings[name]
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
            continue
        values = value if isinstance(value, list | tuple) else [value]
        words.append(" ".join([f"--{name.replace('_', '-')}", *map(str, values)]))
    return " ".join(words)


def misspelt(group: click.Group, environment: Mapping[str, str]) -> list[str]:
    """Return a line on every HVAE_* variable that sets nothing in a group that has settings."""
    known = [name.removeprefix("HVAE_") for option in _options(group) for name in option.envvar or ()]
    found = [name.removeprefix("HVAE_") for name in sorted(environment) if known and name.startswith("HVAE_")]
    notes = []
    for name in found:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, cutoff=0.7)
            notes.append(f"note: HVAE_{name} sets nothing" + (f"; did you mean HVAE_{close[0]}?" if close else ""))
    return notes


def _options(group: click.Group) -> Iterator[click.Option]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _options(command)
        yield from (param for param in command.params if isinstance(param, click.Option))


def _kind(option: click.Option) -> values.Kind:
    if option.is_flag:
        return values.Kind((bool,))
    if option.multiple:
        return values.Kind((str, int, float), many=True)
    return values.Kind({"integer": (int,), "float": (int, float)}.get(option.type.name, (str,)))
