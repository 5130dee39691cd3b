"""Include arrows: who may include whom is the link graph of CMakeLists.txt, folder by folder."""
import re

from checks.tree import Violation, folder_of, is_test

# Headers in angle brackets that belong to a library, and the target of cmake/dependencies.cmake that brings it.
LIBRARIES = (
    (re.compile(r"^boost/"), "boost_json"),
    (re.compile(r"^yaml-cpp/"), "yaml"),
    (re.compile(r"^CLI/"), "cli11"),
    (re.compile(r"^llhttp"), "llhttp"),
    (re.compile(r"^openssl/"), "openssl"),
    (re.compile(r"^otlp/"), "otlp_proto"),
)
TEST_LIBRARIES = re.compile(r"^(gtest|gmock|benchmark)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def arrows(cmake):
    """folder -> what its infermesh_folder() call may include, folders and targets alike."""
    found = {}
    for match in re.finditer(r"^infermesh_folder\(\s*(\S+)\s+DEPENDS\s+([^)]*)\)", cmake, re.MULTILINE):
        found[match[1]] = set(match[2].split())
    return found


def closure(graph, folder):
    """All that a folder links, through its folders too: libraries are seen through them."""
    seen, todo = set(), [folder]
    while todo:
        for name in graph.get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def run(tree):
    graph = arrows(tree.text("CMakeLists.txt"))
    linked = {folder: closure(graph, folder) for folder in graph}
    for path in tree.sources():
        folder = folder_of(path)
        if folder not in graph:
            yield Violation(path, 0, f"folder {folder} is not in CMakeLists.txt", "it is not built and has no arrows",
                            "add an infermesh_folder() line")
            continue
        for number, line in tree.lines(path):
            match = INCLUDE.match(line)
            if match:
                rule = own_include if match[1] == '"' else library_include
                yield from rule(tree, graph, linked, path, folder, number, match[2])


def own_include(tree, graph, linked, path, folder, number, header):
    target = folder_of(header)
    if not tree.exists("src/" + header):
        yield Violation(path, number, f'include "{header}" is not a file under src/',
                        "own headers are named from src/", "write the path from src/")
    elif target != folder and target not in graph[folder]:
        yield Violation(path, number, f"{folder} includes {target}", "the arrows of CMakeLists.txt do not allow it",
                        "pass a value of core/model, or move the code; ARCHITECTURE.md has the map")


def library_include(tree, graph, linked, path, folder, number, header):
    if TEST_LIBRARIES.match(header):
        if not is_test(path):
            yield Violation(path, number, f"<{header}> outside a test", "products do not link the test library",
                            "move it into a *_test.cc file")
        return
    for pattern, target in LIBRARIES:
        if pattern.match(header):
            if target not in linked[folder]:
                yield Violation(path, number, f"{folder} includes <{header}>", f"it does not depend on {target}",
                                "wrap the library in the folder that owns it")
            return
