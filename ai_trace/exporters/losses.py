"""What a format could not carry, counted while it is written and told in sentences afterwards."""

from __future__ import annotations

__all__ = ["Losses"]


class Losses:
    """Sentence -> how often it was true; None for what is true of the format itself."""

    def __init__(self) -> None:
        self._told: dict[str, int | None] = {}

    def format(self, sentence: str) -> None:
        """*sentence* is a limit of the format that this session meets."""
        self._told.setdefault(sentence, None)

    def count(self, sentence: str, times: int = 1) -> None:
        """*sentence* happened *times* more times."""
        if times:
            self._told[sentence] = (self._told.get(sentence) or 0) + times

    def rows(self) -> list[str]:
        """The sentences, counted ones with their numbers; [] where nothing was lost."""
        return [said if times is None else f"{said}: {times:,}" for said, times in self._told.items()]

    def __bool__(self) -> bool:
        return bool(self._told)
