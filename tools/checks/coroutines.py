"""What GCC 12 compiles wrongly: a co_await in a conditional expression destroys temporaries that were never made."""
import re

from checks.tree import Violation, code_only

PATTERN = re.compile(r"\?[^;{}]*\bco_await\b")


def run(tree):
    for path in tree.sources("src/") + tree.sources("test/") + tree.sources("bench/"):
        text = code_only(tree.text(path))
        if "co_await" not in text:
            continue
        for match in PATTERN.finditer(text):
            yield Violation(path, text.count("\n", 0, match.start()) + 1, "co_await in a conditional expression",
                            "GCC 12 compiles it wrongly", "write an if, and name each value")
