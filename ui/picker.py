"""Pick a handwritten digit by its picture."""

from __future__ import annotations

from collections.abc import Callable

from ui.component import element

PAGE = 16
_PICKER = element("handwriting_picker", "picker", '<div class="picker"></div>')


def handwriting_picker(
    sprite: dict[str, object],
    *,
    first: int,
    total: int,
    selected: int | None,
    label: str,
    key: str,
    on_pick: Callable[[], None],
    on_page: Callable[[], None],
) -> None:
    """A page of handwritten examples to choose from.

    Parameters
    ----------
    sprite : the examples shown, as `ui.pictures.sprite` makes it
    first, total : number of the first one shown, and how many there are
    selected : number of the chosen one; None while a drawing takes its place
    label : name for screen readers, "handwriting of digit 7"
    on_pick, on_page : called when a picture is chosen (`event(key, "pick")` is its number) or another page
        is asked for (`event(key, "page")` is the number of its first picture)
    """
    data = {
        "sprite": sprite,
        "first": first,
        "page": PAGE,
        "total": total,
        "selected": selected,
        "label": label,
    }
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _PICKER(data=[data], key=key, on_pick_change=on_pick, on_page_change=on_page)
