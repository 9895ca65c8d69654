"""Small documents that would cost a naive server minutes, by what they are made of."""


def repeat(number: int, part: str) -> str:
    """The part so many times, `#` in it standing for the number of the repetition."""
    return " ".join(part.replace("#", str(n)) for n in range(number))


def levels(number: int) -> str:
    """A query of so many levels of fields, four by four."""
    down = "{ worker { processes(first: 1) { edges { node " * (number // 4)
    return f"{{ process(id: 1) {down} {{ id }} {'} } } }' * (number // 4)} }}"


def doubling(number: int, type_: str, body: str, leaf: str) -> str:
    """Fragments F0 to F<number>; in the body `...F` spreads the next one."""
    fragments = [
        f"fragment F{n} on {type_} {{ {body.replace('...F', f'...F{n + 1}')} }}"
        for n in range(number)
    ]
    return " ".join([*fragments, f"fragment F{number} on {type_} {{ {leaf} }}"])


BOMBS: dict[str, str] = {
    "fragments that double 25 times": "{ ...F0 }" + doubling(25, "Query", "...F ...F", "version"),
    "fragments that double 150 times": "{ ...F0 }" + doubling(150, "Query", "...F ...F", "version"),
    "levels that double 25 times": '{ process(id: "p") { ...F0 } }'
    + doubling(
        25,
        "Process",
        "a: currentTask { process { ...F } } b: currentTask { process { ...F } }",
        "id",
    ),
    "a chain of 400 fragments": "{ ...F0 }" + doubling(400, "Query", "...F", "version"),
    "a fragment that spreads itself": "{ ...A } fragment A on Query { version ...A }",
    "fragments in a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "every fragment in every other": "{ ...F0 }"
    + repeat(45, f"fragment F# on Query {{ version {' '.join(f'...F{n}' for n in range(45))} }}"),
    "18 levels of fields": levels(16),
    "100 levels of fields": levels(100),
    "10,000 levels of fields": "{ a" * 10_000 + "}" * 10_000,
    "10,000 levels of inline fragments": "{ ..." * 10_000 + "{ version }" + "}" * 10_000,
    "10,000 levels of lists": f"{{ worker(id: {'[' * 10_000}{']' * 10_000}) {{ id }} }}",
    "10,000 levels of objects": f"{{ workers(filter: {'{a:' * 10_000}1{'}' * 10_000}) {{ id }} }}",
    "10,000 aliases": f"{{ {repeat(10_000, 'a#: version')} }}",
    "51 aliases": f"{{ {repeat(51, 'a#: version')} }}",
    "aliases in an unused fragment": "{ version } fragment A on Query {"
    + repeat(51, "a#: version")
    + "}",
    "51 aliases of the introspection": "{ __schema {" + repeat(51, "a#: types { name }") + "} }",
    "aliases in aliases of the introspection": "{ __schema {"
    + repeat(6, "a#: types { ...T }")
    + "} } fragment T on __Type {"
    + repeat(6, "b#: fields { args { type { fields { args { name } } } } }")
    + "}",
    "an introspection of types in types": "{ __schema { types "
    + "{ fields { type " * 10
    + "{ name }"
    + " } }" * 10
    + " } }",
    "100,000 tokens": f"{{ {'version ' * 100_000} }}",
    "100,000 tokens in a list": f"{{ workers(filter: {{ids: [{'1 ' * 100_000}]}}) {{ id }} }}",
    "the same field 501 times": f"{{ {'version ' * 501} }}",
    "the same object 51 times": f"{{ {'summary { workersOnline } ' * 51} }}",
    "the same arguments 200 times": f"{{ {'worker(id: 1) { id } ' * 200} }}",
    "the same levels 300 times": "{" + "processes { edges { node { worker { id } } } }" * 300 + "}",
    "120 fragments of the same fields": "{"
    + repeat(120, "...F#")
    + "}"
    + repeat(120, "fragment F# on Query { workers { pageInfo { endCursor } } }"),
    "fields that contradict 400 times": f"{{ {'a: version a: feedCursor ' * 400} }}",
    "1,000 unknown fields": f"{{ {repeat(1000, 'x#')} }}",
    "long unknown fields": f"{{ {repeat(400, 'x' * 4000 + '#')} }}",
    "long unknown words": "{ workers(filter: {status: ["
    + repeat(4000, "X" * 400 + "#")
    + "]}) { pageInfo { endCursor } } }",
    "1,000 variables": f"query ({repeat(1000, '$v#: Int')}) {{ version }}",
    "700 operations": repeat(700, "query q# { version }"),
    "700 directives": f"{{ version {'@include(if: true) ' * 700} }}",
    "a million digits": f"{{ workers(first: {'9' * 1_000_000}) {{ pageInfo {{ endCursor }} }} }}",
    "20 digits": "{ workers(first: 99999999999999999999) { pageInfo { endCursor } } }",
}
