"""The two files of a segment, its journal and the black box beside it: made under one name, let go together.

Guarantees: a name that is taken is left alone, and what is made by half is removed again. A black box that cannot
be made costs the sight of the steps in flight, and is told; the journal is what counts.
"""

from __future__ import annotations

from collections.abc import Callable

from . import disk
from .blackbox import BlackBox, sibling
from .journal import Journal
from .news import reason

__all__ = ["claim", "let_go", "sync_folder", "take_back"]

Notice = Callable[[str], None]


def claim(
    path: str, new_journal: Callable[[str], Journal], header: Callable[[int], bytes], durable: bool, notice: Notice
) -> tuple[Journal, BlackBox | None] | None:
    """Make the files of *path*; None where the name is taken.

    Args:
        new_journal: makes the journal, `FileExistsError` where it is there.
        header: given the journal's size, the black box's first line.
        durable: sync each record of the black box.
        notice: takes a sentence that the next line of the journal tells.
    """
    box = None
    try:
        box = BlackBox(sibling(path), header, durable)
    except FileExistsError:
        return None
    except OSError as err:  # steps in flight stay unseen, finished ones are kept
        notice(f"no black box: {reason(err)}")
    try:
        return new_journal(path), box
    except BaseException as err:
        if box is not None:
            box.remove()
        if isinstance(err, FileExistsError):
            return None
        raise


def sync_folder(folder: str, notice: Notice) -> None:
    """Make the names in *folder* durable; where that is refused, it is told."""
    try:
        disk.active.fsync_folder(folder)
    except Exception as err:
        notice(f"the folder could not be synced ({reason(err)}): a power cut may take the journal")


def take_back(book: Journal, box: BlackBox | None) -> None:
    """Remove files that hold nothing yet, so that their name is free again."""
    try:
        disk.active.unlink(book.path)
    except OSError:
        pass  # an empty file stays, and the next step takes another name
    finally:
        let_go(book, box)


def let_go(book: Journal | None, box: BlackBox | None) -> None:
    """Close the files; the black box goes, for what it held stands elsewhere now."""
    try:
        if book is not None:
            book.close()
    finally:
        if box is not None:
            box.remove()

