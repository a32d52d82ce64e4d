"""How the noise of `FrozenNoise` changes in training: a factor of its size for each step."""

from __future__ import annotations

import math
from typing import Literal, Protocol

from frogmask.errors import UsageError

Name = Literal["constant", "linear", "cosine", "adaptive"]


class Schedule(Protocol):
    """A factor for each step, at least 0. `observe` hears of validation losses; most schedules ignore them."""

    def factor(self, step: int) -> float: ...
    def observe(self, loss: float) -> None: ...


class Constant:
    """The same noise in every step."""

    def factor(self, step: int) -> float:
        return 1.0

    def observe(self, loss: float) -> None:
        pass


class Falling:
    """Noise that falls from its full size to none over some steps, along a line or half a cosine, and stays away then."""

    def __init__(self, steps: int, cosine: bool) -> None:
        self.steps, self.cosine = steps, cosine

    def factor(self, step: int) -> float:
        share = min(1.0, step / self.steps)
        return 0.5 * (1 + math.cos(math.pi * share)) if self.cosine else 1 - share

    def observe(self, loss: float) -> None:
        pass


class Adaptive:
    """Noise that follows the validation loss (FROG, section 7).

    The factor is the last validation loss over the first one, at most 1.
    So noise is large while there is much to explore, falls as the model gets better, and comes back when it gets worse.
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None

    def factor(self, step: int) -> float:
        if self.first is None or self.last is None:
            return 1.0
        return min(1.0, self.last / self.first)

    def observe(self, loss: float) -> None:
        if not (math.isfinite(loss) and loss >= 0):
            raise UsageError(f"a validation loss of {loss} tells nothing; give a finite one of at least 0")
        if self.first is None and loss > 0:
            self.first = loss
        self.last = loss


def schedule_named(name: Name, steps: int | None) -> Schedule:
    """The schedule of a name.

    Args:
        name: `"constant"`, `"linear"`, `"cosine"` or `"adaptive"`.
        steps: Of `"linear"` and `"cosine"`: after so many the noise is gone.

    Raises:
        UsageError: There is no such schedule, or `steps` is missing or out of place.
    """
    if name in ("linear", "cosine"):
        if steps is None or steps < 1:
            raise UsageError(f"schedule='{name}' needs steps, the number of steps after which the noise is gone")
        return Falling(steps, cosine=name == "cosine")
    if steps is not None:
        raise UsageError(f"schedule='{name}' has no use for steps; leave it out")
    if name == "constant":
        return Constant()
    if name == "adaptive":
        return Adaptive()
    raise UsageError(f"schedule='{name}': say 'constant', 'linear', 'cosine' or 'adaptive'")
