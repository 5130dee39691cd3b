"""Every folder explains itself: a README of one screen; and the licence is where people look for it."""
from checks.tree import Violation

README_LINES_MAX = 60


def run(tree):
    folders = {path.rpartition("/")[0] for path in tree.sources()}
    folders |= {folder for folder in ("tools", "bench", "api/schema") if any(p.startswith(folder + "/") for p in tree.paths)}
    folders |= {path[:path.index("/testdata/")] + "/testdata" for path in tree.paths if "/testdata/" in path}
    folders |= {"test/fixtures" for path in tree.paths if path.startswith("test/fixtures/")}
    for folder in sorted(folders):
        readme = folder + "/README.md"
        if not tree.exists(readme):
            yield Violation(folder, 0, "no README.md", "a folder says what it is for and who may include it",
                            "write one of a screen")
        elif tree.text(readme).count("\n") > README_LINES_MAX:
            yield Violation(readme, 0, f"over {README_LINES_MAX} lines", "a README is one screen", "move detail to docs/")
    for path in tree.paths:
        if path.endswith("README.md") and not tree.text(path).startswith(("# ", "<")):
            yield Violation(path, 1, "does not begin with a title", "a C++ formatter turns `# data/x` into `#data / x`",
                            "put `# ` and the title there, and look at the rest")
    if not tree.exists("LICENSE") or "Apache License" not in tree.text("LICENSE"):
        yield Violation("LICENSE", 0, "is not the Apache License 2.0", "the project is under it", "put the text back")
