"""Exit statuses of the commands, the same everywhere."""

COMPLETE = 0  # all requested cells are complete
ERROR = 1
USAGE = 2
INCOMPLETE = 3  # finished, but some cells failed or diverged
NOTHING = 4  # nothing to plot
HELD = 5  # another run holds the directory
SIGNAL = 128  # plus the signal's number: 130 SIGINT, 143 SIGTERM


class NothingError(Exception):
    """There is nothing to plot; the message is one line."""


class SchedulerError(Exception):
    """A scheduler's program is not here or refuses; the message is one line."""
