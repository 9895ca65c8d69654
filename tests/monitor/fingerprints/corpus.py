"""Errors as programs report them, in the groups that a person would make of them.

All are of one pipeline and, unless they say otherwise, of one step: only what they say, and where
they were raised, tells them apart.
"""

# ruff: noqa: E501, RUF001 — an error is easier to read in one line, and in its own letters

import json
from dataclasses import dataclass, field

STEP = "load"


@dataclass(frozen=True)
class Group:
    """Errors that are the same one again; `step` is the one that failed."""

    name: str
    errors: tuple[str | None, ...]
    step: str | None = field(default=STEP)


def group(name: str, *errors: str | None, step: str | None = STEP) -> Group:
    return Group(name, errors, step)


def sent(message: str, *calls: str, **rest: object) -> str:
    """As `wpipe` sends it; a call is written `file:line function`."""
    return json.dumps(
        {
            "task_name": STEP,
            "error_traceback": [_frame(call) for call in (_CALLER, *calls)],
            "error_message": message,
            **rest,
        },
        ensure_ascii=False,
    )


def _frame(call: str) -> dict[str, object]:
    place, _, method = call.rpartition(" ")
    file, _, line = place.rpartition(":")
    return {"file": file, "line": int(line), "method": method}


def printed(error: str, *calls: str) -> str:
    """As Python prints a traceback."""
    lines = ["Traceback (most recent call last):"]
    for call in calls:
        frame = _frame(call)
        lines.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame["method"]}')
        lines.append("    do_something(here)")
    return "\n".join([*lines, error])


_CALLER = "/srv/etl/.venv/lib/python3.11/site-packages/wpipe/pipe/pipe.py:574 _task_invoke"
ETL = "/srv/etl/steps/"
WINDOWS = "C:\\jobs\\etl\\steps\\"
LIBRARY = "/usr/lib/python3.11/"
PACKAGES = "/srv/etl/.venv/lib/python3.11/site-packages/"
CONDA = "/opt/conda/lib/python3.10/site-packages/"

FROM_WPIPE = (
    group(
        "an amount that is no number, in rows.parse_amount",
        sent(
            "could not convert string to float: '12,50'",
            f"{ETL}load.py:58 load",
            f"{ETL}rows.py:23 parse_amount",
        ),
        sent(
            "could not convert string to float: '1.299,00'",
            f"{ETL}load.py:58 load",
            f"{ETL}rows.py:23 parse_amount",
        ),
        sent(
            "could not convert string to float: 'n/a'",
            f"{ETL}load.py:61 load",
            f"{ETL}rows.py:27 parse_amount",
        ),
        sent(
            "could not convert string to float: ''",
            "/home/ana/etl/steps/load.py:61 load",
            "/home/ana/etl/steps/rows.py:27 parse_amount",
        ),
        sent(
            "could not convert string to float: '٣٫٥'",
            f"{WINDOWS}load.py:61 load",
            f"{WINDOWS}rows.py:27 parse_amount",
        ),
    ),
    group(
        "the same text in rows.parse_weight",
        sent(
            "could not convert string to float: '12,50'",
            f"{ETL}load.py:63 load",
            f"{ETL}rows.py:44 parse_weight",
        ),
        sent(
            "could not convert string to float: 'heavy'",
            f"{ETL}load.py:66 load",
            f"{ETL}rows.py:48 parse_weight",
        ),
        sent(
            "could not convert string to float: '3 kg'",
            f"{ETL}load.py:66 load",
            f"{ETL}rows.py:48 parse_weight",
        ),
    ),
    group(
        "no such customer, in joins.join_customers",
        sent("'customer_id'", f"{ETL}load.py:41 load", f"{ETL}joins.py:88 join_customers"),
        sent("'customer_no'", f"{ETL}load.py:41 load", f"{ETL}joins.py:88 join_customers"),
        sent(
            "KeyError: 'customer_id'", f"{ETL}load.py:43 load", f"{ETL}joins.py:90 join_customers"
        ),
        sent("", f"{ETL}load.py:43 load", f"{ETL}joins.py:90 join_customers"),
    ),
    group(
        "no such column, in load itself",
        sent("'customer_id'", f"{ETL}load.py:47 load"),
        sent("'amount'", f"{ETL}load.py:49 load"),
        sent("'Größe'", f"{ETL}load.py:49 load"),
    ),
    group(
        "a page was gone, in crawl.fetch through urllib",
        sent(
            "HTTP Error 404: Not Found",
            f"{ETL}crawl.py:71 fetch",
            f"{LIBRARY}urllib/request.py:216 urlopen",
            f"{LIBRARY}urllib/request.py:643 http_error_default",
        ),
        sent(
            "HTTP Error 404: Not Found",
            f"{ETL}crawl.py:74 fetch",
            "/usr/lib/python3.12/urllib/request.py:215 urlopen",
        ),
        sent(
            "HTTP Error 404: Gone fishing",
            f"{ETL}crawl.py:74 fetch",
            "C:\\Python311\\Lib\\urllib\\request.py:216 urlopen",
        ),
        sent(
            "HTTP Error 404: Not Found",
            f"{ETL}crawl.py:74 fetch",
            "/home/etl/.pyenv/versions/3.11.4/lib/python3.11/urllib/request.py:216 urlopen",
        ),
    ),
    group(
        "recursion in tree.walk, however deep",
        sent(
            "maximum recursion depth exceeded",
            f"{ETL}load.py:12 load",
            *[f"{ETL}tree.py:{n} walk" for n in (9, 9, 9)],
        ),
        sent(
            "maximum recursion depth exceeded in comparison",
            f"{ETL}load.py:12 load",
            *[f"{ETL}tree.py:{n} walk" for n in (9, 9, 9, 9, 9, 11)],
        ),
        sent(
            "maximum recursion depth exceeded while calling a Python object",
            f"{ETL}load.py:12 load",
            *[f"{ETL}tree.py:9 walk"] * 400,
        ),
    ),
    group(
        "recursion between tree.walk and tree.visit",
        sent(
            "maximum recursion depth exceeded",
            f"{ETL}load.py:12 load",
            *[f"{ETL}tree.py:9 walk", f"{ETL}tree.py:20 visit"] * 3,
        ),
        sent(
            "maximum recursion depth exceeded",
            f"{ETL}load.py:12 load",
            *[f"{ETL}tree.py:9 walk", f"{ETL}tree.py:21 visit"] * 90,
        ),
    ),
    group(
        "NaN in a matrix, in fit.fit through sklearn",
        sent(
            "Input X contains NaN.",
            f"{ETL}fit.py:83 fit",
            f"{PACKAGES}sklearn/utils/validation.py:147 _assert_all_finite",
        ),
        sent(
            "Input X contains NaN.",
            f"{ETL}fit.py:85 fit",
            f"{CONDA}sklearn/utils/validation.py:161 _assert_all_finite_element_wise",
        ),
        sent(
            "Input y contains NaN.",
            f"{ETL}fit.py:85 fit",
            "/usr/lib/python3/dist-packages/sklearn/utils/validation.py:161 check",
        ),
    ),
    group(
        "a lambda in transform.transform",
        sent(
            "unsupported operand type(s) for +: 'int' and 'str'",
            f"{ETL}transform.py:31 transform",
            f"{ETL}transform.py:33 <lambda>",
        ),
        sent(
            "unsupported operand type(s) for +: 'float' and 'NoneType'",
            f"{ETL}transform.py:36 transform",
            f"{ETL}transform.py:38 <lambda>",
        ),
    ),
    group(
        "a list in transform.transform",
        sent(
            "unsupported operand type(s) for +: 'int' and 'str'",
            f"{ETL}transform.py:31 transform",
            f"{ETL}transform.py:33 <listcomp>",
        ),
        sent(
            "unsupported operand type(s) for +: 'int' and 'str'",
            f"{ETL}transform.py:31 transform",
            f"{ETL}transform.py:39 <listcomp>",
        ),
    ),
    group(
        "a package's __init__: prices",
        sent(
            "no rate for 2026-03-01",
            f"{ETL}load.py:8 load",
            "/srv/etl/prices/__init__.py:12 convert",
        ),
        sent(
            "no rate for 2026-03-02",
            f"{ETL}load.py:8 load",
            "/srv/etl/prices/__init__.py:14 convert",
        ),
    ),
    group(
        "a package's __init__: weights",
        sent(
            "no rate for 2026-03-01",
            f"{ETL}load.py:8 load",
            "/srv/etl/weights/__init__.py:12 convert",
        ),
        sent(
            "no rate for 2026-03-02",
            f"{ETL}load.py:8 load",
            "/srv/etl/weights/__init__.py:12 convert",
        ),
    ),
    group(
        "the program's own folder is called python",
        sent("list index out of range", "/home/bob/python/etl/split.py:12 split"),
        sent("list index out of range", "/home/bob/python/etl/split.py:15 split"),
        sent("tuple index out of range", "/srv/split.py:15 split"),
    ),
    group(
        "a cell of a notebook",
        sent("name 'df' is not defined", "<ipython-input-12-9fd0c2a1b3e4>:1 <module>"),
        sent("name 'df2' is not defined", "<ipython-input-31-0a1b2c3d4e5f>:4 <module>"),
    ),
    group(
        "frames as lines of a traceback",
        json.dumps(
            {
                "error_message": "bad header",
                "error_traceback": [
                    '  File "/srv/etl/steps/header.py", line 4, in read\n    x()\n'
                ],
            }
        ),
        json.dumps(
            {
                "error_message": "bad header",
                "error_traceback": [
                    '  File "/srv/etl/steps/header.py", line 9, in read\n    y()\n'
                ],
            }
        ),
        json.dumps(
            {
                "error_message": "bad header: 12",
                "error_traceback": 'Traceback (most recent call last):\n  File "/srv/etl/steps/header.py", line 4, in read\n    x()\nValueError: bad header: 12',
            }
        ),
    ),
)

ONLY_LIBRARIES = (
    group(
        "a read from a socket took too long",
        sent("The read operation timed out", f"{LIBRARY}ssl.py:1167 read"),
        sent("The read operation timed out", f"{LIBRARY}ssl.py:1105 read"),
        sent(
            "The read operation timed out",
            "C:\\Users\\Eva\\AppData\\Local\\Programs\\Python\\Python311\\Lib\\ssl.py:1105 read",
        ),
    ),
    group(
        "a write to a socket took too long",
        sent("The write operation timed out", f"{LIBRARY}ssl.py:1205 write"),
        sent("The write operation timed out", f"{LIBRARY}ssl.py:1209 write"),
    ),
    group(
        "the same words, from another place in a library",
        sent("timed out", f"{LIBRARY}socket.py:836 create_connection"),
        sent("timed out", f"{LIBRARY}socket.py:840 create_connection"),
    ),
    group(
        "the same words, from yet another",
        sent("timed out", f"{LIBRARY}queue.py:179 get"),
        sent("timed out", f"{LIBRARY}queue.py:181 get"),
    ),
    group(
        "no words, from one place in a library",
        sent("", f"{LIBRARY}queue.py:174 get_nowait"),
        sent("", f"{LIBRARY}queue.py:176 get_nowait"),
    ),
    group(
        "no words, from another",
        sent("", f"{LIBRARY}asyncio/timeouts.py:115 __aexit__"),
        sent("", f"{LIBRARY}asyncio/timeouts.py:119 __aexit__"),
    ),
)

ONLY_MESSAGES = (
    group(
        "lost the database",
        sent("(2013, 'Lost connection to MySQL server during query')"),
        sent(
            "(2013, 'Lost connection to MySQL server during query ([Errno 104] Connection reset by peer)')"
        ),
    ),
    group(
        "no access to the database",
        sent("(1045, \"Access denied for user 'etl'@'10.0.3.17' (using password: YES)\")"),
        sent("(1045, \"Access denied for user 'etl'@'10.0.3.18' (using password: NO)\")"),
    ),
    group(
        "a duplicate key",
        sent("(1062, \"Duplicate entry '8812-2026-03-01' for key 'PRIMARY'\")"),
        sent("(1062, \"Duplicate entry '9004-2026-03-02' for key 'ux_orders_no'\")"),
    ),
    group(
        "nobody listens",
        sent("[Errno 111] Connection refused"),
        sent("[Errno 111] Connection refused"),
    ),
    group("a name that nobody knows", sent("[Errno -2] Name or service not known")),
    group(
        "the disk is full",
        sent("[Errno 28] No space left on device: '/mnt/offsite/2026-03-01.tar.zst'"),
        sent("[Errno 28] No space left on device: '/mnt/offsite/9f8e7d6c5b4a.tar.zst'"),
    ),
    group(
        "no such file",
        sent("[Errno 2] No such file or directory: '/data/in/orders_20260301.csv'"),
        sent("[Errno 2] No such file or directory: '/data/in/orders_20260302.csv'"),
        sent("[Errno 2] No such file or directory: 'C:\\\\data\\\\orders.csv'"),
        sent("[Errno 2] No such file or directory: 'l’été/été.csv'"),
    ),
    group(
        "not allowed to open it",
        sent("[Errno 13] Permission denied: '/data/in/orders_20260301.csv'"),
        sent("[Errno 13] Permission denied: '/data/out/x.parquet'"),
    ),
    group(
        "a file in use on Windows",
        sent(
            "[WinError 32] The process cannot access the file because it is being used by another process: 'D:\\\\in\\\\a.xlsx'"
        ),
        sent(
            "[WinError 32] The process cannot access the file because it is being used by another process: 'D:\\\\in\\\\b 2.xlsx'"
        ),
    ),
    group("access on Windows", sent("[WinError 5] Access is denied: 'D:\\\\in\\\\a.xlsx'")),
    group("HTTP 404", sent("HTTP Error 404: Not Found"), sent("HTTP Error 404: Not Found")),
    group("HTTP 429", sent("HTTP Error 429: Too Many Requests")),
    group(
        "status 500",
        sent("Request to https://api.example.com/v2/orders/8812 failed with status code 500"),
        sent(
            "Request to https://api.example.com/v2/orders/9004?page=2 failed with status code 500"
        ),
    ),
    group(
        "status 503",
        sent("Request to https://api.example.com/v2/orders/8812 failed with status code 503"),
        sent("Request to http://10.1.2.3:8080/ failed with status code 503"),
    ),
    group(
        "a client error of requests",
        sent("404 Client Error: Not Found for url: https://shop.example/p/17"),
        sent("404 Client Error: Not Found for url: https://shop.example/p/1842?lang=de"),
    ),
    group(
        "an invoice without a total",
        sent("no total found on invoice 881204, page 3"),
        sent("no total found on invoice 17, page 12"),
        sent("no total found on invoice 1,204, page 1"),
    ),
    group(
        "an invoice without a date",
        sent("no date found on invoice 881204, page 3"),
        sent("no date found on invoice 17, page 12"),
    ),
    group(
        "no answer within some seconds",
        sent("no batch from the loader within 60 s"),
        sent("no batch from the loader within 1.5 s"),
        sent("no batch from the loader within 250 ms"),
        sent("no batch from the loader within 2 minutes"),
    ),
    group(
        "took too long",
        sent("job 3f2a9c1e took 12.5s, limit is 10s"),
        sent("job 77aa01bc took 1h 2m 3s, limit is 1h"),
        sent("job 0badf00d took 300 seconds, limit is 4 minutes"),
    ),
    group(
        "an order twice",
        sent("order 6f1f4b62-6c1d-4a2e-9b0e-2f1f6d3f9c11 exists already"),
        sent("order 0c9c0b1e-51f4-4f5f-8a44-8cfb2b1d7a01 exists already"),
        sent(
            "order {A987FBC9-4BED-3078-CF07-9141BA07C9F3} exists already".replace("{", "").replace(
                "}", ""
            )
        ),
    ),
    group(
        "a commit that is not there",
        sent("unknown revision d6f1b9e4c0a87f3b2e1d0c9b8a7f6e5d4c3b2a19 in the repository"),
        sent("unknown revision 9fceb02 in the repository"),
    ),
    group(
        "a checksum is wrong",
        sent(
            "checksum mismatch: expected 5d41402abc4b2a76b9719d911017c592, got 7d793037a0760186574b0282f2f435e7"
        ),
        sent(
            "checksum mismatch: expected e4d909c290d0fb1ca068ffaddf22cbd0, got 9e107d9d372bb6826bd81d3542a419d6"
        ),
    ),
    group(
        "an object at an address",
        sent("cannot pickle <Session object at 0x7f3b2c1d0e50>"),
        sent("cannot pickle <Session object at 0x10a4b8c40>"),
    ),
    group(
        "a host cannot be reached",
        sent("could not connect to 10.0.0.12:5432"),
        sent("could not connect to 192.168.7.200:5433"),
        sent("could not connect to db-3.internal.example.com:5432"),
        sent("could not connect to [2001:db8::8a2e:370:7334]:5432"),
        sent("could not connect to localhost:5432"),
    ),
    group(
        "a device is silent",
        sent("no answer from device 00:1A:2B:3C:4D:5E"),
        sent("no answer from device 66-77-88-99-aa-bb"),
    ),
    group(
        "mail was refused",
        sent("recipient anna.meier@example.com was refused"),
        sent("recipient bob+test@mail.example.co.uk was refused"),
    ),
    group(
        "greylisted",
        sent("(421, b'4.7.0 9f8e7d6c5b4a Try again later, closing connection')"),
        sent("(421, b'4.7.0 112233445566 Try again later, closing connection')"),
    ),
    group(
        "mail is too large",
        sent("(552, b'5.3.4 Message size exceeds fixed limit')"),
    ),
    group(
        "an interpreter that was killed",
        sent("Command 'ffmpeg -i a.mp4 b.webm' died with <Signals.SIGKILL: 9>."),
        sent("Command 'ffmpeg -i c.mp4 d.webm' died with <Signals.SIGKILL: 9>."),
    ),
    group(
        "exit status 1",
        sent("Command '['pg_dump', 'shop']' returned non-zero exit status 1."),
        sent("Command '['pg_dump', 'stock']' returned non-zero exit status 1."),
    ),
    group(
        "exit status 137",
        sent("Command '['pg_dump', 'shop']' returned non-zero exit status 137."),
        sent("Command '['pg_dump', 'stock']' returned non-zero exit status 137."),
    ),
    group(
        "out of memory",
        sent(
            "Unable to allocate 7.45 GiB for an array with shape (1000000000,) and data type float64"
        ),
        sent(
            "Unable to allocate 512 MiB for an array with shape (67108864,) and data type float64"
        ),
        sent(
            "Unable to allocate 93.1 GiB for an array with shape (50000, 250000) and data type float64"
        ),
    ),
    group(
        "out of memory on the card",
        sent("CUDA out of memory. Tried to allocate 2.50 GiB"),
        sent("CUDA out of memory. Tried to allocate 512.00 MiB"),
    ),
    group(
        "shapes that do not fit",
        sent("shapes (3,4) and (5,6) not aligned: 4 (dim 1) != 5 (dim 0)"),
        sent("shapes (128,64) and (32,10) not aligned: 64 (dim 1) != 32 (dim 0)"),
    ),
    group(
        "JSON that is none",
        sent("Expecting value: line 1 column 1 (char 0)"),
        sent("Expecting value: line 14 column 233 (char 8812)"),
    ),
    group(
        "JSON without a comma",
        sent("Expecting ',' delimiter: line 1 column 12 (char 11)"),
        sent("Expecting ',' delimiter: line 9 column 120 (char 911)"),
    ),
    group(
        "a date that is none",
        sent("time data '2026-13-01' does not match format '%Y-%m-%d'"),
        sent("time data '31.04.2026' does not match format '%d.%m.%Y'"),
    ),
    group(
        "nothing for a day",
        sent("no prices for 2026-03-01"),
        sent("no prices for 2026-03-02T00:00:00+01:00"),
        sent("no prices for 1.3.2026"),
        sent("no prices for Sun, 01 Mar 2026 00:00:00 GMT"),
        sent("no prices for March 1, 2026"),
    ),
    group(
        "a window of time that is over",
        sent("slot 14:30 is over since 14:45:12.123"),
        sent("slot 02:00 is over since 03:00:00"),
    ),
    group(
        "no object has this attribute",
        sent("'NoneType' object has no attribute 'text'"),
        sent("'Tag' object has no attribute 'href'"),
    ),
    group(
        "a step backwards",
        sent("drift of -3.2% is below -2%"),
        sent("drift of -12% is below -2.5%"),
    ),
    group(
        "columns that are missing",
        sent("missing columns: ['a', 'b']"),
        sent("missing columns: ['customer_id']"),
        sent("missing columns: ['x', 'y', 'z']"),
    ),
    group(
        "a token that is none",
        sent(
            "invalid token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
        ),
        sent(
            "invalid token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI5ODc2NTQzMjEwIn0.kKd8Zx0aPq1LmN7RsTuVwXyZ01_2345A"
        ),
    ),
    group(
        "a message that was cut",
        sent("cannot parse 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa 1 bbbbbbb"),
        sent("cannot parse 'cccccc 2 ddd"),
    ),
    group(
        "it's not a quotation",
        sent("can't find the worker's file"),
        sent("can't find the worker's file"),
    ),
    group(
        "a number of rows", sent("expected 10 rows, got 9"), sent("expected 10,000 rows, got 1e4")
    ),
    group(
        "an other number of rows",
        sent("expected 10 columns, got 9"),
        sent("expected 12 columns, got 11"),
    ),
    group(
        "SQL state 42S02",
        sent("SQLSTATE[42S02]: Base table or view not found: `shop`.`orders`"),
        sent("SQLSTATE[42S02]: Base table or view not found: `shop`.`items`"),
    ),
)

PLAIN = (
    group(
        "plain text of a traceback",
        printed(
            "ValueError: invalid literal for int() with base 10: 'x'",
            f"{ETL}plain.py:10 main",
            f"{ETL}plain.py:22 count",
        ),
        printed(
            "ValueError: invalid literal for int() with base 10: ''",
            f"{ETL}plain.py:11 main",
            f"{ETL}plain.py:24 count",
        ),
        printed(
            "ValueError: invalid literal for int() with base 10: '\u00a0'",
            "/app/plain.py:11 main",
            "/app/plain.py:24 count",
        ),
    ),
    group(
        "plain text of the same error elsewhere",
        printed(
            "ValueError: invalid literal for int() with base 10: 'x'",
            f"{ETL}plain.py:10 main",
            f"{ETL}plain.py:40 weigh",
        ),
        printed(
            "ValueError: invalid literal for int() with base 10: 'y'",
            f"{ETL}plain.py:10 main",
            f"{ETL}plain.py:40 weigh",
        ),
    ),
    group(
        "a traceback within the libraries, of one kind",
        printed(
            "redis.exceptions.ConnectionError: Error 111 connecting to 10.0.0.5:6379. Connection refused.",
            f"{PACKAGES}redis/client.py:1255 execute_command",
            f"{PACKAGES}redis/connection.py:704 connect",
        ),
        printed(
            "redis.exceptions.ConnectionError: Error 111 connecting to 10.0.0.6:6379. Connection refused.",
            f"{PACKAGES}redis/client.py:1301 execute_command",
            f"{PACKAGES}redis/connection.py:711 connect",
        ),
    ),
    group(
        "a traceback within the libraries, of another",
        printed(
            "redis.exceptions.TimeoutError: Timeout connecting to server",
            f"{PACKAGES}redis/client.py:1255 execute_command",
            f"{PACKAGES}redis/connection.py:702 connect",
        ),
    ),
    group(
        "raised from another error",
        printed("KeyError: 'id'", f"{ETL}chain.py:4 read")
        + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        + printed("LoadError: row 12", f"{ETL}chain.py:6 run"),
        printed("KeyError: 'no'", f"{ETL}chain.py:5 read")
        + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        + printed("LoadError: row 8812", f"{ETL}chain.py:7 run"),
    ),
    group(
        "raised from a third",
        printed("OSError: x", f"{ETL}chain.py:14 write")
        + "\n\nThe above exception was the direct cause of the following exception:\n\n"
        + printed("LoadError: row 12", f"{ETL}chain.py:6 run"),
        printed("OSError: y", f"{ETL}chain.py:15 write")
        + "\n\nThe above exception was the direct cause of the following exception:\n\n"
        + printed("LoadError: row 14", f"{ETL}chain.py:6 run"),
    ),
    group(
        "several at once",
        '  + Exception Group Traceback (most recent call last):\n  |   File "/srv/etl/steps/both.py", line 9, in both\n  |     raise\n  | ExceptionGroup: 2 of 5 failed (2 sub-exceptions)\n  +-+---------------- 1 ----------------',
        '  + Exception Group Traceback (most recent call last):\n  |   File "/srv/etl/steps/both.py", line 12, in both\n  |     raise\n  | ExceptionGroup: 3 of 5 failed (3 sub-exceptions)\n  +-+---------------- 1 ----------------',
    ),
    group(
        "a validation with many lines, in the program",
        printed(
            "pydantic_core.ValidationError: 1 validation error for Order\namount\n  Input should be a valid number [type=float_type]\n    For further information visit https://errors.pydantic.dev/2.7/v/float_type",
            f"{ETL}order.py:8 parse",
        ),
        printed(
            "pydantic_core.ValidationError: 2 validation errors for Order\namount\n  Field required\nno\n  Field required",
            f"{ETL}order.py:9 parse",
        ),
    ),
    group(
        "one line",
        "disk quota exceeded for user 1001",
        "disk quota exceeded for user 1002",
        "  disk quota exceeded for user 17\nsecond line\n",
    ),
    group(
        "another line", "inode quota exceeded for user 1001", "inode quota exceeded for user 1001"
    ),
    group(
        "a log's line",
        "2026-03-01 12:00:01,123 ERROR etl: no rows in batch 17",
        "2026-03-02 02:10:41,903 ERROR etl: no rows in batch 8812",
    ),
    group(
        "a process's own JSON",
        '{"message": "Task failed: rows are missing", "error_code": 501}',
        '{"message": "Task failed: rows are missing", "error_code": 501, "task_name": "load"}',
    ),
    group(
        "JSON in other words",
        '{"reason": "quota exceeded", "row": 12}',
        '{"row": 8812, "reason": "quota exceeded"}',
    ),
    group("JSON in other words again", '{"reason": "no such bucket", "row": 12}'),
    group(
        "an error within JSON",
        '{"error": {"message": "bad gateway at 10.0.0.1", "code": 502}}',
        '{"error": {"message": "bad gateway at 10.0.0.2", "code": 502}}',
    ),
    group(
        "JSON with NaN in it",
        '{"message": "score is no number", "score": NaN}',
        '{"message": "score is no number", "score": Infinity}',
    ),
    group(
        "half of a surrogate pair",
        '{"message": "bad text \\ud83d in row 3"}',
        '{"message": "bad text \\ud83d in row 12"}',
    ),
)

LANGUAGES = (
    group(
        "German",
        "Verbindung zu „db-1“ nach 30 Sekunden abgebrochen",
        "Verbindung zu „db-2“ nach 12 Sekunden abgebrochen",
    ),
    group("German, another", "Verbindung zu „db-1“ verweigert", "Verbindung zu „db-7“ verweigert"),
    group(
        "German file",
        "Datei „Umsätze März.xlsx“ nicht gefunden",
        "Datei „Umsätze April.xlsx“ nicht gefunden",
    ),
    group(
        "Spanish",
        "No se encontró el archivo «ventas_2026.csv»",
        "No se encontró el archivo «compras_2025.csv»",
    ),
    group(
        "Spanish, another",
        "El servidor tardó 12 segundos en responder",
        "El servidor tardó 3 segundos en responder",
    ),
    group(
        "French",
        "Impossible d'ouvrir le fichier « été.csv »",
        "Impossible d'ouvrir le fichier « hiver.csv »",
    ),
    group("French, another", "L'utilisateur 42 n'existe pas", "L'utilisateur 8812 n'existe pas"),
    group(
        "Portuguese",
        "Conexão recusada pelo servidor 10.0.0.1",
        "Conexão recusada pelo servidor 10.0.0.2",
    ),
    group(
        "Russian",
        "Не удалось открыть файл «отчёт 1.xlsx»",
        "Не удалось открыть файл «отчёт 2.xlsx»",
    ),
    group("Russian, another", "Превышено время ожидания: 30", "Превышено время ожидания: 45"),
    group("Chinese", "找不到文件“订单.csv”", "找不到文件“发票.csv”"),
    group("Chinese, another", "第12行格式错误", "第8812行格式错误"),
    group(
        "Japanese", "ファイル「売上.csv」が見つかりません", "ファイル「在庫.csv」が見つかりません"
    ),
    group(
        "Japanese, another",
        "2026年3月1日のデータがありません",
        "2026年12月24日のデータがありません",
    ),
    group("Korean", "연결 시간이 30 초를 초과했습니다", "연결 시간이 45 초를 초과했습니다"),
    group("Arabic", "فشل الاتصال بالخادم رقم ١٢", "فشل الاتصال بالخادم رقم ٣٤٥"),
    group("Greek", "Δεν βρέθηκε η σελίδα 12", "Δεν βρέθηκε η σελίδα 3"),
    group("Turkish", "Dosya 'İstanbul.csv' bulunamadı", "Dosya 'Ankara.csv' bulunamadı"),
    group(
        "composed and decomposed",
        "Größe fehlt in Zeile 3",
        "Gr\u006f\u0308ße fehlt in Zeile 12".replace("ö", "ö"),
    ),
    group("emoji", "🔥 queue 'orders' is on fire", "🔥 queue 'mails' is on fire"),
)

WITHOUT_WORDS = (
    group("nothing at all in the step", None, "", "   \n", "{}", '{"error_message": ""}'),
    group("nothing at all in another step", None, "", step="export"),
    group("nothing at all outside of the steps", None, "", step=None),
    group("the same words in another step", "disk quota exceeded for user 1001", step="export"),
    group("the same words outside of the steps", "disk quota exceeded for user 1001", step=None),
    group(
        "the same frames in another step",
        sent("'customer_id'", f"{ETL}load.py:47 load"),
        step="export",
    ),
)

LARGE = (
    group(
        "a mebibyte in quotes",
        sent("cannot parse row '" + "x" * 1_000_000 + "'"),
        sent("cannot parse row '" + "y 1 " * 200_000 + "'"),
    ),
    group(
        "a mebibyte of lines",
        "too many open files\n" + "line\n" * 200_000,
        "too many open files\n" + "12 'a'\n" * 100_000,
    ),
    group(
        "a mebibyte of frames",
        printed("RecursionError: deep", *[f"{ETL}deep.py:{n} dig" for n in range(1, 12_000)]),
        printed("RecursionError: deep", *[f"{ETL}deep.py:3 dig"] * 4),
    ),
)

GROUPS = (*FROM_WPIPE, *ONLY_LIBRARIES, *ONLY_MESSAGES, *PLAIN, *LANGUAGES, *WITHOUT_WORDS, *LARGE)
