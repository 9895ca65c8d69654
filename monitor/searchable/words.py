"""Words, as an index keeps them and as somebody looks for them.

A word is letters and digits, without case and as Unicode composes them (NFKC). `TimeoutError` is
`timeouterror`, and `timeout` and `error`, too. Scripts that write no blanks between words (Chinese,
Japanese) are kept as pairs of characters. Each is written as `x` and its UTF-8 in hex: a database
splits it nowhere, takes it for no stop word and no operator, and what begins alike still does.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# In UTF-8; what is longer is cut, in an index as in what is looked for.
WORD_BYTES = 41
MAX_WORDS = 500
MAX_TERMS = 64
# Longer ones are of one text only.
_CACHED = 40
# A word of more parts says nothing: it is some code.
_MAX_PARTS = 5

_CJK = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
_PART_ENDS = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")


class Term(NamedTuple):
    """A word that is looked for; `prefix`: or what begins with it."""

    word: str
    prefix: bool


def words_of(text: str) -> str:
    """Each of its words once, with a blank on either side; of many, 250 from either end."""
    found: dict[str, None] = {}
    for word in _WORD.findall(_composed(text)):
        found.update(dict.fromkeys(_forms(word) if len(word) <= _CACHED else _make_forms(word)))
    words = list(found)
    if len(words) > MAX_WORDS:
        words = words[: MAX_WORDS // 2] + words[-(MAX_WORDS // 2) :]
    return f" {' '.join(words)} "


def terms_of(text: str) -> list[Term]:
    """What has to be in a text, each once: the words, of which the last may go on."""
    found: dict[str, bool] = {}
    *words, last = _WORD.findall(_composed(text)) or [""]
    for word in words:
        for asked, prefix in _asked(word):
            found[asked] = found.get(asked, True) and prefix
    for asked, prefix in _asked(last) if last else ():
        found.setdefault(asked, prefix or not _IS_CJK.match(last))
    return [Term(_written(word), prefix) for word, prefix in found.items()]


def line_of(text: str, looked_for: str, length: int) -> str:
    """The line of the text that has most of the words that are looked for, or the first one; of a
    long line as much as this, around the first of them.
    """
    wanted = [word.casefold() for word in _WORD.findall(_composed(looked_for))]
    best, most = "", -1
    for line in text.splitlines():
        folded = _composed(line).casefold()
        count = sum(word in folded for word in wanted)
        if count > most:
            best, most = line, count
        if count == len(wanted):
            break
    if len(best) <= length:
        return best
    folded = best.casefold()
    places = [place for word in wanted if (place := folded.find(word)) >= 0]
    start = max(min(min(places, default=0) - length // 3, len(best) - length), 0)
    end = start + length
    return f"{'…' if start else ''}{best[start:end]}{'…' if end < len(best) else ''}"


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _make_forms(word: str) -> tuple[str, ...]:
    """What it is found by."""
    if not word.isascii() and _IS_CJK.match(word):
        # The last one by itself, so that each is the beginning of something.
        return tuple(_written(word[at : at + 2]) for at in range(len(word)))
    if word.islower() or word.isdecimal():
        return (_written(word),)
    parts = _PART_ENDS.split(word)
    return tuple(map(_written, [word, *parts] if 1 < len(parts) <= _MAX_PARTS else [word]))


# Errors say the same words again and again.
_forms = lru_cache(maxsize=8_192)(_make_forms)


def _asked(word: str) -> Iterator[tuple[str, bool]]:
    """What a word is looked for by, without case, and whether that is a beginning."""
    folded = word.casefold()
    if not _IS_CJK.match(word):
        yield folded, False
    elif len(word) == 1:
        yield word, True
    else:
        yield from ((word[at : at + 2], False) for at in range(len(word) - 1))


def _written(word: str) -> str:
    return f"x{word.casefold().encode('utf-8', 'replace')[:WORD_BYTES].hex()}"
