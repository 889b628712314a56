"""What is printed."""

from streamlit.testing.v1 import AppTest


def _table():
    import streamlit as st

    from ui import paper

    paper.wide_table(
        {"name": ["a <b>", "c"], "score": [1.234, None]},
        column_order=("score", "name"),
        column_config={"name": "Name", "score": st.column_config.NumberColumn("Score", format="%.2f")},
    )


def test_a_wide_table_is_also_there_with_all_of_its_columns():
    app = AppTest.from_function(_table, default_timeout=60).run()
    assert not app.exception
    assert app.dataframe[0].value["score"][0] == 1.234
    (html,) = app.get("html")
    rows = html.proto.body.split("<tr>")[1:]
    assert rows[0].startswith("<th>Score</th><th>Name</th>")
    assert rows[1].startswith("<td>1.23</td><td>a &lt;b&gt;</td>")
    assert rows[2].startswith("<td>–</td><td>c</td>")
