"""Nothing from outside is markup in what we write for MLflow and Airflow, and everything can still be read."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from pipeline.storage.urls import web_link
from pipeline.tracking import markdown

GFM = MarkdownIt("gfm-like", {"html": True, "linkify": True, "typographer": False})
GFM.linkify.set({"fuzzy_link": False, "fuzzy_email": True})

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "image tag": '<img src=x onerror="alert(1)">',
    "comment": "<!-- the rest is gone",
    "entity": "&lt;script&gt; &amp; &#60;b&#62;",
    "link": "[Report](javascript:alert(1))",
    "image": "![](https://evil.example/pixel.png)",
    "reference": "[x][y] [y]: https://evil.example",
    "reference definition": "[y]: https://evil.example",
    "footnote": "[^1]",
    "task list": "- [x] done",
    "autolink": "<https://evil.example>",
    "bare address": "see https://evil.example/a?b=c_d_e for more",
    "bare address in capitals": "HTTPS://EVIL.EXAMPLE",
    "bare address, one slash": "http:/evil.example",
    "www": "see www.evil.example",
    "WWW": "see WWW.evil.example",
    "ftp": "ftp://evil.example/x",
    "e-mail": "write to boss@evil.example",
    "mailto": "mailto:boss@evil.example",
    "mention": "thanks @octocat",
    "emphasis": "*a* **b** _c_ __d__ ~e~ ~~f~~ é_x_é",
    "code": "`a` ``b`` ```c```",
    "fence": "```sh\nrm -rf /\n```",
    "table": "a | b\n--- | ---\n1 | 2",
    "cell": "x | **y** |",
    "heading": "# big",
    "heading below": "big\n===",
    "rule": "---",
    "rule of stars": "***",
    "list": "- one\n- two",
    "list with plus": "+ one",
    "numbered": "1. one\n2. two",
    "numbered, bracket": "7) one",
    "quote": "> said",
    "indented": "        code",
    "hard break": "a  \nb\\\nc",
    "paragraphs": "a\n\n# b\r\n\r\n<b>c</b>",
    "line separators": "a\u2028# b\u2029# c\x85# d",
    "backslashes": "C:\\home\\*x* \\",
    "html block": "<div>\n\n# x",
    "emoji": "a:smile:b :+1:",
    "maths": "$x_1$ ^2^",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_whatever_is_escaped_is_one_line_of_plain_text(attack: str) -> None:
    line = markdown.escape(attack)
    assert "\n" not in line
    shown = GFM.render(line)
    found = re.fullmatch(r"<p>(.*)</p>\n", shown)
    assert found is not None, shown
    assert "<" not in found[1]
    assert html.unescape(found[1]).replace("\u2060", "") == " ".join(attack.split())


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_in_a_table_it_stays_in_its_cell(attack: str) -> None:
    shown = GFM.render(f"| a | b |\n| --- | --- |\n| {markdown.escape(attack)} | 2 |\n")
    assert re.findall(r"<(\w+)", shown) == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]


@pytest.mark.parametrize("attack", [*ATTACKS.values(), "`", "``", "a`b|c"])
def test_a_code_span_cannot_be_left(attack: str) -> None:
    assert re.findall(r"<(\w+)", GFM.render(f"x {markdown.code(attack)} y")) == ["p", "code"]


@pytest.mark.parametrize(
    "text",
    ["AAPL", "BRK-B", "0700.HK", "^GSPC", "EURUSD=X", "random_walk", "skill +0.42 %, p 0.021", "22:00:00", "1.5"],
)
def test_plain_words_are_left_as_they_are(text: str) -> None:
    assert markdown.escape(text) == text


def test_control_characters_and_overrides_of_the_reading_direction_are_dropped() -> None:
    assert markdown.escape("a\x00b\x1b[31mc\u202egpj.exe\u2066d") == "ab\\[31mcgpj.exed"


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://mlflow.example/#/experiments/1/runs/2", "https://mlflow.example/#/experiments/1/runs/2"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000/x", "http://[::1]:5000/x"),
        ("https://a.example/x%20y?b=c&d=e", "https://a.example/x%20y?b=c&d=e"),
        ('https://a.example/">(<b>)', "https://a.example/%22%3E%28%3Cb%3E%29"),
        ("HTTPS://a.example", "HTTPS://a.example"),
        ("javascript:alert(1)", None),
        ("JavaScript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        (" javascript:alert(1)", None),
        ("\x01javascript:alert(1)", None),
        ("data:text/html,<script>alert(1)</script>", None),
        ("vbscript:x", None),
        ("file:///etc/passwd", None),
        ("//evil.example", None),
        ("/dags/x", None),
        ("https:evil.example", None),
        ("https:///evil.example", None),
        ("https://", None),
        ("https://bank.example@evil.example", None),
        ("https://evil.example\\@bank.example", None),
        ("https://a.example:port", None),
        ("https://[", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_only_web_addresses_become_links(address: object, safe: str | None) -> None:
    assert web_link(address) == safe
    shown = GFM.render(markdown.link("a [title]", address))
    assert ("<a href=" in shown) == (safe is not None)
    assert "a [title]" in shown


def test_an_address_stays_as_it_is_within_a_link() -> None:
    address = "https://a_b.example/dags/daily_forecast/runs/a__b*c*"
    assert f'<a href="{address}">' in GFM.render(f"_x_ {markdown.link('y_', address)} _z_")
