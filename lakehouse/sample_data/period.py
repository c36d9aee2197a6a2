"""How much of the archive one batch of a replay contains."""

from __future__ import annotations

from typing import Literal

Period = Literal["day", "week", "month", "quarter"]
