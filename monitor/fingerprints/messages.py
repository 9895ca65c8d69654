"""Messages without what is of one run only: ids, numbers, times, addresses, names in quotes."""

# ruff: noqa: RUF001 — quotation marks of many languages

import re
import unicodedata

# No pattern sees more, so none can take long, whatever it looks for.
LONGEST = 2_000
TITLE_LENGTH = 300
NOTHING = "(no message)"

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\s?[AaPp][Mm]\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
_AFTER_DAY = rf"(?:[T ,]{{1,2}}{_CLOCK}{_ZONE})?"
_UNITS = (
    r"nanoseconds?|microseconds?|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?"
    r"|segundos?|minutos?|horas?|días?|secondes?|heures?|jours?|Sekunden?|Minuten?|Stunden?|Tagen?"
    r"|Tage|ns|us|µs|μs|ms|s|m|h|d"
)

# What stands for it, and what it is; of what begins at one place the first.
_PARTS = (
    # A code says what happened: it stays. "HTTP Error 404", "[Errno 111]", "(2013, 'Lost …')".
    (
        "",
        r"(?i:\b(?:errno|winerror|error|code|código|fehler|status|sqlstate|signal|http/\d\.\d|http))"
        r"[ :=#(\[]{0,3}-?\d{1,5}(?![\w.,/]*\d)|^\(-?\d{1,5}(?=, )",
    ),
    ("<url>", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s'\"<>`)\]}]+"),
    ("<email>", r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    ("<uuid>", r"(?i:\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b)"),
    (
        "<str>",
        # A text that was cut has no end.
        r"(?<![\w\])}.])(?:[bBrRuUfF]{1,2})?(?:'''[^']*(?:'''|$)|'(?:[^'\\]|\\.)*(?:'(?!\w)|$)"
        r'|"(?:[^"\\]|\\.)*(?:"|$))'
        r"|`[^`]*(?:`|$)|«[^»]*(?:»|$)|“[^”]*(?:”|$)|„[^“”]*(?:[“”]|$)|‘[^’]*(?:’|$)"
        r"|「[^」]*(?:」|$)|‹[^›]*(?:›|$)",
    ),
    (
        "<time>",
        rf"\b\d{{4}}-\d\d?-\d\d?{_AFTER_DAY}|\b\d{{4}}/\d\d?/\d\d?{_AFTER_DAY}"
        rf"|\b\d\d?[./]\d\d?[./]\d{{4}}{_AFTER_DAY}"
        rf"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{{0,6}},? )?\d\d?\.? {_MONTH},? \d{{4}}"
        rf"{_AFTER_DAY}|\b{_MONTH} \d\d?(?:,? \d{{4}})?{_AFTER_DAY}"
        r"|\b\d{8}T\d{4,6}Z?\b|\d{4}年\d\d?月\d\d?日",
    ),
    ("<time>", rf"(?<![\w:.]){_CLOCK}(?![\w:])"),
    (
        "<addr>",
        r"(?i:\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b)"
        r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5}|/\d\d?)?\b"
        r"|(?i:\[?(?<![\w:])(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4}){1,7}\]?(?::\d{1,5})?)"
        r"|::1\b|\b(?:localhost|[a-zA-Z0-9]\w{0,62}(?:[.-]\w{1,62}){1,6}):\d{2,5}\b",
    ),
    (
        "<path>",
        r"\b[a-zA-Z]:[\\/][^\s'\":;,|<>]*|\\\\[\w.$-]+\\[^\s'\":;,|<>]*"
        r"|(?<![\w/])(?:~|\.\.?)?/[\w.@+%=~:*{}$#-]+(?:/[\w.@+%=~:*{}$#-]*)*"
        r"|\b[\w.-]{1,80}(?:/[\w.@+%=-]{1,255}){1,30}\.\w{1,8}\b"
        r"|\b(?=[\w-]{0,80}\d)[\w-]{1,80}(?:\.[\w-]{1,40}){0,3}\.[a-zA-Z]\w{1,7}\b",
    ),
    ("<hex>", r"\b0[xX][0-9a-fA-F]+\b|(?i:\b(?=[a-f]{0,40}\d)(?=\d{0,40}[a-f])[0-9a-f]{7,128}\b)"),
    ("<id>", r"\b(?=[A-Za-z_-]{0,60}\d)(?=[\d_-]{0,60}[A-Za-z])[\w-]{20,}(?:\.[\w-]{10,}){0,3}\b"),
    ("<size>", r"\d+(?:[.,]\d+)?\s?(?:[kKMGTP]i?B|[Bb]ytes?|[Oo]ctets?)\b"),
    (
        "<duration>",
        rf"(?<![\w.])\d+(?:[.,]\d+)?\s?(?:{_UNITS})\b(?:\s?\d+(?:[.,]\d+)?\s?(?:{_UNITS})\b)*",
    ),
    (
        "<n>",
        r"(?:(?<!\w)[-+])?(?<![A-Za-z\d])\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?%?|\d{4,}(?:[.,]\d+)*",
    ),
)
_VARYING = re.compile("|".join(f"({pattern})" for _, pattern in _PARTS))
_STANDS = [stands for stands, _ in _PARTS]
_SIGN = re.compile(r"<\w{1,8}>")
_LIST = re.compile(r"(<\w{1,8}>)(?:(?:, ?|; ?| |\s?[x×*]\s?|\s?:\s?)\1){1,2000}")


def normalise(line: str) -> str:
    """A line with signs in place of what varies; equal for errors that say the same."""
    line = unicodedata.normalize("NFC", line[:LONGEST])[:LONGEST]
    line = _VARYING.sub(lambda match: _STANDS[match.lastindex - 1] or match[0], line)  # type: ignore[operator]
    line = _LIST.sub(r"\1", line)
    return " ".join(line.split())


def says_something(normalised: str) -> bool:
    """Whether there is a word in it, beside signs for what varies."""
    return any(map(str.isalpha, _SIGN.sub("", normalised)))


def first_line(text: str) -> str:
    """The first that is not blank."""
    stripped = text.lstrip()
    return stripped.partition("\n")[0].rstrip()


def title_of(normalised: str) -> str:
    """A message as it is shown in a list, as every database takes it."""
    shown = normalised.encode("utf-8", "replace").decode().replace("\0", "")
    return shown[:TITLE_LENGTH] or NOTHING
