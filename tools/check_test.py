#!/usr/bin/python3
"""Tests of tools/check.py and tools/gen.py: each rule sees what it is for, and nothing else."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from checks import coroutines, folders, includes, programs, promises, purity, sizes, words  # noqa: E402
from checks.tree import Tree, code_only  # noqa: E402
from generate import common  # noqa: E402
from generate.options import check as check_options  # noqa: E402
import gen  # noqa: E402

CMAKE = """
infermesh_folder(base DEPENDS fmt)
infermesh_folder(core/model DEPENDS base)
infermesh_folder(port DEPENDS base yaml)
infermesh_folder(data DEPENDS base core/model
                              port)
"""
MARK = "TO" + "DO"


def found(rule, texts, cmake=CMAKE):
    tree = Tree({"CMakeLists.txt": cmake, "LICENSE": "Apache License", **texts})
    return [str(violation) for violation in rule.run(tree)]


class Includes(unittest.TestCase):
    FILES = {"src/base/a.h": "", "src/port/p.h": ""}

    def lines(self, path, text):
        return found(includes, {**self.FILES, path: text})

    def test_an_arrow_that_is_not_in_the_graph_is_found_with_its_line(self):
        lines = self.lines("src/core/model/x.cc", '#include "base/a.h"\n#include "port/p.h"\n')
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].startswith("src/core/model/x.cc:2: core/model includes port;"))

    def test_own_folder_and_listed_folders_are_fine(self):
        self.assertEqual(self.lines("src/data/x.cc", '#include "data/x.cc"\n#include "port/p.h"\n'), [])

    def test_arrows_do_not_pass_through(self):
        texts = {**self.FILES, "src/wire/w.cc": '#include "base/a.h"\n'}
        graph = CMAKE + "infermesh_folder(wire DEPENDS port)\n"
        self.assertIn("wire includes base", found(includes, texts, graph)[0])

    def test_a_header_that_is_not_there_is_found(self):
        self.assertIn("is not a file under src/", self.lines("src/data/x.cc", '#include "data/gone.h"\n')[0])

    def test_a_folder_outside_the_graph_is_found(self):
        self.assertIn("is not in CMakeLists.txt", self.lines("src/extra/x.cc", "")[0])

    def test_libraries_are_seen_through_folders_but_not_elsewhere(self):
        self.assertEqual(self.lines("src/data/x.cc", "#include <yaml-cpp/yaml.h>\n"), [])
        self.assertIn("does not depend on yaml", self.lines("src/core/model/x.cc", "#include <yaml-cpp/yaml.h>\n")[0])

    def test_the_test_library_stays_in_tests(self):
        self.assertEqual(self.lines("src/data/x_test.cc", "#include <gtest/gtest.h>\n"), [])
        self.assertIn("outside a test", self.lines("src/data/x.cc", "#include <gtest/gtest.h>\n")[0])

    def test_test_data_follows_its_folder(self):
        texts = {**self.FILES, "src/data/testdata/f.h": '#include "port/p.h"\n',
                 "src/data/x_test.cc": '#include "data/testdata/f.h"\n'}
        self.assertEqual(found(includes, texts), [])


class Purity(unittest.TestCase):
    def in_core(self, code):
        return found(purity, {"src/core/route/x.cc": code})

    def test_each_impurity_is_found(self):
        for code, what in (
                ("auto t = std::chrono::steady_clock::now();", "reads a clock"),
                ("time(nullptr);", "reads a clock"),
                ("std::random_device d;", "makes random numbers"),
                ("int x = rand();", "makes random numbers"),
                ("std::this_thread::yield();", "sleeps"),
                ("std::mutex m;", "uses threads"),
                ("std::ifstream f(name);", "touches files"),
                ("int s = ::socket(AF_INET, 0, 0);", "touches sockets"),
                ('getenv("HOME");', "reads the environment"),
                ("std::cerr << 1;", "prints"),
                ('printf("x");', "prints"),
                ("#include <unistd.h>", "includes <unistd.h>"),
                ("throw 1;", "throws")):
            lines = self.in_core("int a;\n" + code + "\n")
            self.assertTrue(lines and what in lines[0] and ":2:" in lines[0], (code, lines))

    def test_every_line_names_the_way_out(self):
        self.assertIn("take `now` as an argument", self.in_core("std::chrono::system_clock::now();")[0])

    def test_words_in_comments_and_texts_are_free(self):
        self.assertEqual(self.in_core('// throw rand() at it\nauto s = "std::mutex";\n/* getenv( */\n'), [])
        self.assertEqual(self.in_core('auto s = R"(std::thread "x" throw)";\n'), [])

    def test_names_that_only_look_alike_are_free(self):
        self.assertEqual(self.in_core("runtime(x); object.time(); operand(); snprintf_like; breaker.open(); "
                                      "#include <chrono>\nDuration d = 5s; strand(1); my_socket_of(1);\n"), [])

    def test_other_folders_may_do_things(self):
        self.assertEqual(found(purity, {"src/io/x.cc": "std::mutex m; getenv(a);\n"}), [])

    def test_tests_of_core_may_read_fixtures_but_no_clock(self):
        texts = {"src/core/a_test.cc": "#include <fstream>\nstd::ifstream f; std::thread t;\n"}
        self.assertEqual(found(purity, texts), [])
        self.assertEqual(len(found(purity, {"src/core/a_test.cc": "steady_clock c;\n"})), 1)

    def test_tests_do_not_sleep(self):
        self.assertIn("a test sleeps", found(purity, {"src/io/a_test.cc": "std::this_thread::sleep_for(1s);\n"})[0])
        self.assertIn("a test sleeps", found(purity, {"src/io/a_test.cc": "sleep(1);\n"})[0])
        self.assertEqual([], found(purity, {"src/data/a_test.cc": "co_await wire.sleep(1s);\n"}))


def function(name, lines):
    return f"int {name}(int a) {{\n" + "  a += 1;\n" * (lines - 2) + "}\n"


class Sizes(unittest.TestCase):
    def test_a_long_file_a_long_header_and_a_long_function_are_found(self):
        lines = found(sizes, {"src/a/x.cc": "\n" * 401, "src/a/x.h": "\n" * 121, "src/a/y.cc": function("f", 71)})
        self.assertIn("file has 401 lines, the limit is 400", lines[0])
        self.assertIn("file has 121 lines, the limit is 120", lines[1])
        self.assertIn("src/a/y.cc:1: f() has 71 lines", lines[2])

    def test_at_the_limit_is_fine(self):
        self.assertEqual(found(sizes, {"src/a/x.cc": "\n" * 400, "src/a/y.cc": function("f", 70)}), [])

    def test_a_listed_one_may_stay_but_not_grow(self):
        listed = {sizes.LIST: json.dumps({"files": {"src/a/x.cc": 410}})}
        self.assertEqual(found(sizes, {**listed, "src/a/x.cc": "\n" * 410}), [])
        self.assertIn("grew from 410 to 411", found(sizes, {**listed, "src/a/x.cc": "\n" * 411})[0])

    def test_a_gain_must_be_taken_and_the_ratchet_takes_it(self):
        texts = {sizes.LIST: json.dumps({"files": {"src/a/x.cc": 500, "src/a/y.cc": 450}}),
                 "src/a/x.cc": "\n" * 450, "src/a/y.cc": "\n" * 10}
        lines = found(sizes, texts)
        self.assertIn("shrank from 500 to 450", lines[0])
        self.assertIn("is not over its limit any more", lines[1])
        self.assertEqual(sizes.ratchet(Tree(texts)), {"files": {"src/a/x.cc": 450}})

    def test_the_ratchet_neither_adds_nor_raises(self):
        texts = {sizes.LIST: json.dumps({"files": {"src/a/x.cc": 410}}), "src/a/x.cc": "\n" * 900, "src/a/z.cc": "\n" * 900}
        self.assertEqual(sizes.ratchet(Tree(texts)), {"files": {"src/a/x.cc": 410}})
        self.assertEqual(sizes.accept(Tree(texts))["files"], {"src/a/x.cc": 900, "src/a/z.cc": 900})

    def test_generated_files_and_long_tests_are_free(self):
        self.assertEqual(found(sizes, {"src/a/x.gen.cc": "\n" * 999, "src/a/x_test.cc": "\n" * 799}), [])

    def test_a_crowded_folder_is_found_and_tests_do_not_count(self):
        texts = {f"src/a/f{i}.cc": "" for i in range(25)}
        self.assertEqual(found(sizes, {**texts, "src/a/x_test.cc": ""}), [])
        self.assertIn("folder has 26 files", found(sizes, {**texts, "src/a/z.cc": ""})[0])

    def test_functions_are_told_from_what_looks_like_them(self):
        code = """
namespace a {
class B : public C<int> {
 public:
  explicit B(int x) : x_(x), y_{1} {}
  int get() const { return x_; }
  template <typename T>
  void put(T t) {
    auto f = [&](int z) {
      if (z) { t(); }
    };
  }
};
enum class D { kE };
const int kTable[] = {1, 2};
std::array<int, 2> kOther{{1, 2}};
Result<int> B::run(
    int x) {
  for (int i = 0; i < x; ++i) {
    x += i;
  }
  return x;
}
bool operator==(B a, B b) { return true; }
}
"""
        names = [(name, size) for name, _, size in sizes.functions(code)]
        self.assertEqual(names, [("B", 1), ("get", 1), ("put", 6), ("B::run", 7), ("operator==", 1)])

    def test_braces_in_texts_and_macros_do_not_count(self):
        code = '#define X(a) do { a; \\\n } while (0)\nint f() {\n  g("{", \'{\');\n}\nint h() {\n}\n'
        self.assertEqual([(name, size) for name, _, size in sizes.functions(code)], [("f", 3), ("h", 2)])


class Words(unittest.TestCase):
    def test_marks_paths_and_hosts_are_found(self):
        for text in (f"// {MARK}: later", "see /wo" + "rk/main/x", "at /ho" + "me/ann/x",
                     "https://mir" + "ror.example.org/x", "see issue #" + "12"):
            lines = found(words, {"src/a/x.cc": "\n" + text + "\n"})
            self.assertTrue(lines and lines[0].startswith("src/a/x.cc:2: "), (text, lines))

    def test_ordinary_texts_are_free(self):
        self.assertEqual(found(words, {"a.md": "the work/ folder, mktemp -d XXXXXX, http://127.0.0.1:6400/home\n"}), [])

    def test_fixtures_are_as_they_were_captured(self):
        self.assertEqual(found(words, {"src/a/testdata/x.txt": MARK, "test/fixtures/y.json": MARK}), [])

    def test_links_must_lead_somewhere(self):
        texts = {"docs/a.md": "[x](b.md) [y](../README.md#top) [z](gone.md) [w](https://x.org/gone.md) [v](guide)",
                 "docs/b.md": "", "README.md": "", "docs/guide/c.md": ""}
        lines = found(words, texts)
        self.assertEqual(len(lines), 1)
        self.assertIn("a link to gone.md", lines[0])


class Folders(unittest.TestCase):
    def test_a_folder_without_a_readme_is_found(self):
        self.assertIn("src/a: no README.md", found(folders, {"src/a/x.cc": ""})[0])
        self.assertEqual(found(folders, {"src/a/x.cc": "", "src/a/README.md": "# a\n"}), [])

    def test_a_readme_is_one_screen(self):
        self.assertIn("over 60 lines", found(folders, {"src/a/x.cc": "", "src/a/README.md": "# a\n" * 61})[0])
        self.assertIn("title", found(folders, {"src/a/x.cc": "", "src/a/README.md": "#src / a : x\n"})[0])

    def test_the_licence_must_be_there(self):
        self.assertIn("Apache", found(folders, {"LICENSE": "all rights"})[0])


class Coroutines(unittest.TestCase):
    def test_a_co_await_in_a_conditional_expression_is_found(self):
        for code in ("auto a = b ? co_await c() : d;", "auto a = b ? d : co_await c();",
                     "auto a = b ? std::move(\n    co_await c()) : d;", "f(a ? co_await b() : c);"):
            lines = found(coroutines, {"src/data/x.cc": "int a;\n" + code + "\n"})
            self.assertTrue(lines and lines[0].startswith("src/data/x.cc:2: co_await in a conditional"), (code, lines))

    def test_other_waits_are_fine(self):
        code = """auto a = b ? c : d; auto e = co_await f(); // g ? co_await h : i
if (j ? k : l) { co_await m(); } switch (n) { case kO: co_await p(); } for (auto q : co_await r()) {}"""
        self.assertEqual(found(coroutines, {"src/data/x.cc": code}), [])


class Promises(unittest.TestCase):
    TESTS = {"src/data/x_test.cc": "TEST(Retry, NeverTheSameFirst) {}\nTEST_P(Verbs,\n       ReadWell) {}\n",
             "test/e2e/test_a.py": "def test_b():\n  pass\nclass C:\n    def test_d(self):\n        pass\n",
             "test/scenario/route/s.txt": ""}

    def lines(self, *rows):
        table = "# what `it` is\n\n| promise | held by |\n| --- | :-- |\n" + "".join(row + "\n" for row in rows)
        return found(promises, {**self.TESTS, "test/promises/x.md": table})

    def test_tests_that_exist_are_fine(self):
        self.assertEqual(self.lines("| `--a` b | `Retry.NeverTheSameFirst`, `Every/Verbs.ReadWell/0` |",
                                    "| c | `test_a.py::test_b`, `test/e2e/test_a.py::C::test_d` and `make check` |",
                                    "| d | `test_a.py::test_b[long]`, `test/scenario/route/s.txt` |", "| e | `Retry.*` |"), [])

    def test_a_test_that_is_not_there_is_found_with_its_line(self):
        for name, what in (("Retry.Never", "a test that Retry does not have"), ("Retyr.NeverTheSameFirst", "a suite that no"),
                           ("test_a.py::test_c", "a test that test_a.py does not have"),
                           ("test_a.py::E::test_d", "a test that test_a.py does not have"),
                           ("test_z.py::test_b", "a file that is not there"), ("test/scenario/t.txt", "is not in the tree")):
            lines = self.lines(f"| a | `{name}` |")
            self.assertTrue(lines and lines[0].startswith("test/promises/x.md:5: ") and what in lines[0], (name, lines))

    def test_every_promise_names_a_test(self):
        for row in ("| a | by hand |", "| `Retry.NeverTheSameFirst` | `make check` |"):
            self.assertIn("a promise names no test", self.lines(row)[0])


class Tidy(unittest.TestCase):
    def test_a_clean_file_is_not_looked_at_again_until_it_changes(self):
        with tempfile.TemporaryDirectory() as root:
            tree = Tree({"src/a/x.cc": "int a;", "src/a/y.cc": ""}, root=root)
            programs.CleanFiles(tree).add(["src/a/x.cc"])
            known = programs.CleanFiles(tree)
            self.assertTrue(known.has("src/a/x.cc"))
            self.assertFalse(known.has("src/a/y.cc"))
            self.assertFalse(programs.CleanFiles(Tree({"src/a/x.cc": "int b;"}, root=root)).has("src/a/x.cc"))
            self.assertFalse(programs.CleanFiles(Tree({"src/a/x.cc": "int a;", ".clang-tidy": "x"}, root=root)).has("src/a/x.cc"))

    def test_recent_files_are_those_not_committed_then_those_of_the_last_commits(self):
        with tempfile.TemporaryDirectory() as root:
            def git(*words):
                subprocess.run(["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                               capture_output=True)
            git("init", "-q")
            for names in (["old.cc"], ["b.cc", "gone.cc"]):
                for name in names:
                    (pathlib.Path(root) / name).write_text(name)
                git("add", ".")
                git("commit", "-q", "-m", "x")
            (pathlib.Path(root) / "gone.cc").unlink()
            (pathlib.Path(root) / "new.cc").write_text("")
            self.assertEqual(Tree.of_git(root).recent(), ["new.cc", "b.cc"])


class Reading(unittest.TestCase):
    def test_blanking_keeps_every_line_where_it_is(self):
        text = 'a; // "b\n/* c\n d */ e("f\\"g");\nR"(h\n)" i 1\'000 \'"\' j\n'
        blank = code_only(text)
        self.assertEqual(blank.count("\n"), text.count("\n"))
        self.assertEqual(len(blank), len(text))
        for letter in "bcdfgh":
            self.assertNotIn(letter, blank)
        for letter in "aeij":
            self.assertIn(letter, blank)


class Generators(unittest.TestCase):
    def test_generated_files_are_current(self):
        self.assertEqual([path for path, _ in gen.stale_files()], [])

    def test_words_that_yaml_takes_for_switches_stay_words(self):
        self.assertEqual(common.yaml.load("[on, off, yes, true]", common.WordLoader), ["on", "off", "yes", True])

    def test_durations_and_sizes_are_counted(self):
        self.assertEqual(common.nanoseconds("1m30s"), 90 * 10**9)
        self.assertEqual(common.byte_count("64KiB"), 65536)
        self.assertRaises(ValueError, common.nanoseconds, "5 s")
        self.assertRaises(ValueError, common.byte_count, "64KB")

    def test_a_row_that_contradicts_itself_stops_the_generator(self):
        row = {"name": "a", "type": "u32", "default": 5, "min": 6, "max": 9}
        self.assertRaisesRegex(ValueError, "out of bounds", check_options, [row])
        self.assertRaisesRegex(ValueError, "twice", check_options, [{**row, "default": 7}] * 2)
        choice = {"name": "a", "type": "enum", "default": "x", "choices": ["y"]}
        self.assertRaisesRegex(ValueError, "not a choice", check_options, [choice])


if __name__ == "__main__":
    unittest.main()
