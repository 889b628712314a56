"""Text from outside stays text."""

import pytest

from ui.markdown import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":red[x] <b>\n\x1b[1mbold\x1b[0m", r"\:red\[x\] \<b\> bold"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("a_b [x](http://y) 2.gif", r"a\_b \[x\]\(http\://y\) 2.gif"),
        ("www.here.org and me@here.org", r"www\.here.org and me\@here.org"),
    ],
)
def test_it_is_no_markup_and_no_link(text, expected):
    assert plain(text) == expected
