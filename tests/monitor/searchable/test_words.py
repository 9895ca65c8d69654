"""What a text is found by, and what is looked for."""

import pytest

from db.searched import WORD_LENGTH
from monitor.searchable.words import MAX_WORDS, line_of, terms_of, words_of


def finds(looked_for: str, text: str) -> bool:
    """As both databases decide."""
    words = words_of(text)
    return all(
        f" {word}" in words if prefix else f" {word} " in words
        for word, prefix in terms_of(looked_for)
    )


@pytest.mark.parametrize(
    ("looked_for", "text"),
    [
        ("timeout", "TimeoutError: no answer"),
        ("error", "TimeoutError: no answer"),
        ("timeouterr", "TimeoutError: no answer"),
        ("http", "HTTPError 404"),
        ("404 httperror", "HTTPError 404"),
        ("the", "the end of the file"),
        ("a", "a row"),
        ("customer_id", "KeyError: 'customer_id'"),
        ("id custom", "KeyError: 'customer_id'"),
        ("steps/load.py", "/srv/etl/steps/load.py, 17, main"),
        ("GRÖSSE", "ungültige Größe"),
        ("größ", "ungültige GRÖSSE"),
        ("gro\u0308ße", "ungültige Gr\u00f6ße"),
        ("сервер не", "Сервер не отвечает"),
        ("数据库", "连接数据库失败"),
        ("据", "连接数据库失败"),
        ("库失败", "连接数据库失败"),
        ("データ", "データベースに接続できません"),
        ("연결", "데이터베이스 연결이 끊어졌습니다"),
        ("' OR 1=1 --", "where 1 or 1 is 1"),
        ('+rows -"*" (batch) @~<>', "rows in batch"),
        ("x" * 300, "x" * 300),
        ("😀 rows", "rows 😀"),
        ("数据库超时", "".join(map(chr, range(0x4E00, 0x5600))) + "数据库超时"),
    ],
)
def test_it_is_found(looked_for: str, text: str) -> None:
    assert finds(looked_for, text)


@pytest.mark.parametrize(
    ("looked_for", "text"),
    [
        ("tim error", "TimeoutError: no answer"),
        ("imeout", "TimeoutError: no answer"),
        ("rows batch 17", "rows of batch 18"),
        ("grosse", "ungültige Grösse"),
        ("库数", "连接数据库失败"),
    ],
)
def test_it_is_not_found(looked_for: str, text: str) -> None:
    assert not finds(looked_for, text)


@pytest.mark.parametrize("text", ["", " \t\n", "-- ' \" * + ~ ( )", "😀", "\0"])
def test_what_has_no_word_looks_for_nothing(text: str) -> None:
    assert terms_of(text) == []


def test_no_word_is_longer_than_an_index_takes_and_none_is_too_short() -> None:
    words = words_of(" ".join(("a", "x" * 300, "ж" * 300, "数" * 300, "\U00010400" * 300))).split()
    assert all(word.isascii() and word.isalnum() for word in words)
    assert all(3 <= len(word) < WORD_LENGTH for word in words)


def test_a_text_has_each_word_once_and_so_many_at_most() -> None:
    assert words_of("no rows, no rows") == words_of("no rows")
    assert len(words_of(" ".join(map(str, range(5_000)))).split()) == MAX_WORDS


def test_the_line_that_was_meant_is_shown() -> None:
    text = "Task failed\nValueError: no rows in batch 17\nsteps/load.py, 17, main"
    assert line_of(text, "ROWS 17", 200) == "ValueError: no rows in batch 17"
    assert line_of(text, "load.py", 200) == "steps/load.py, 17, main"
    assert line_of(text, "nothing of it", 200) == "Task failed"
    assert line_of("", "rows", 200) == ""


def test_of_a_long_line_the_part_around_the_word_is_shown() -> None:
    shown = line_of("a" * 1_000 + " needle " + "b" * 1_000, "needle", 90)
    assert " needle " in shown
    assert (shown[0], shown[-1], len(shown)) == ("…", "…", 92)
    assert line_of("needle " + "b" * 1_000, "needle", 90).startswith("needle")
