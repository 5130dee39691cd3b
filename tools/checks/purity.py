"""Core and wire decide and translate, they never do: no clock, entropy, thread, file, socket, environment, log."""
import re

from checks.tree import Violation, code_only, is_test

PURE = ("src/core/", "src/wire/", "src/sim/")

# what is banned, its name, what to use instead, whether tests may
RULES = (
    (r"\b(?:system|steady|high_resolution|utc|file)_clock\b|\b(?:clock_gettime|gettimeofday|timespec_get|localtime|"
     r"gmtime)\b|\bstd::time\s*\(|(?<![\w.>:])time\s*\(\s*(?:0|NULL|nullptr)\s*\)",
     "reads a clock", "take `now` as an argument", False),
    (r"\brandom_device\b|\bmt19937|\bminstd_rand|\bgetrandom\b|\bgetentropy\b|(?<![\w.>])s?rand\s*\(",
     "makes random numbers", "take an `Rng&` as an argument", False),
    (r"\bthis_thread\b|\bu?sleep\s*\(|\bnanosleep\b", "sleeps or looks at its thread",
     "return a deadline (next_deadline) and let the loop wait", False),
    (r"\bstd::(?:jthread|thread|async|future|promise|mutex|shared_mutex|recursive_mutex|condition_variable\w*|latch|"
     r"barrier|counting_semaphore)\b", "uses threads or locks",
     "be a value that one loop owns, or relaxed atomics in one file", True),
    (r"\bstd::(?:[io]?fstream|filesystem)\b|(?<![\w.>])(?:fopen|freopen|mmap)\s*\(",
     "touches files", "take the text as an argument", True),
    (r"(?<![\w.>])(?:socket|recvfrom|sendto|epoll_\w+)\s*\(|\bboost::asio\b",
     "touches sockets", "use the seams of port/ from a plane", False),
    (r"\b(?:secure_)?getenv\b|\bsetenv\b|(?<!\w)environ\b", "reads the environment", "take the value as an argument", True),
    (r"\bstd::(?:cout|cerr|clog)\b|(?<![\w.>])f?printf\s*\(|\bfmt::print\b|(?<![\w.>])puts\s*\(|\bsyslog\b",
     "prints or logs", "return a value that tells, and let the plane log it", True),
)
HEADERS = re.compile(
    r"^\s*#\s*include\s*<(chrono|ctime|time\.h|random|thread|mutex|shared_mutex|condition_variable|future|filesystem|"
    r"fstream|iostream|unistd\.h|fcntl\.h|poll\.h|netdb\.h|syslog\.h|sys/[^>]+|arpa/[^>]+|netinet/[^>]+)>")
HEADERS_OF_TESTS = {"thread", "fstream", "filesystem", "iostream", "mutex"}
HEADERS_HARMLESS = {"chrono"}  # durations are values; clocks are banned by name

# Everywhere, not only in the pure folders.
GENERAL = (
    (r"\bthrow\b", "throws", "expected errors are Result<T>, programmer errors IM_ASSERT", "return fail(...)"),
    (r"\busing\s+namespace\s+std\s*;", "uses namespace std", "names must say where they are from", "write std::"),
)
# A member called sleep is a simulated world's: its time is virtual and passes at once.
SLEEPS = re.compile(r"\bsleep_for\s*\(|\bthis_thread::sleep_until\b|(?<![.>])\bu?sleep\s*\(\s*\d|\bnanosleep\s*\(")


def run(tree):
    for path in tree.sources():
        code = code_only(tree.text(path)).split("\n")
        yield from general(path, code)
        if path.startswith(PURE):
            yield from pure(path, code)


def general(path, code):
    for number, line in enumerate(code, 1):
        for pattern, what, why, fix in GENERAL:
            if re.search(pattern, line):
                yield Violation(path, number, what, why, fix)
        if is_test(path) and not path.startswith(PURE) and SLEEPS.search(line):
            yield Violation(path, number, "a test sleeps", "tests wait for events, not for time",
                            "wait for the thing itself, with a deadline")


def pure(path, code):
    test = is_test(path)
    for number, line in enumerate(code, 1):
        header = HEADERS.match(line)
        if header and header[1] not in HEADERS_HARMLESS and not (test and header[1] in HEADERS_OF_TESTS):
            yield Violation(path, number, f"includes <{header[1]}>", "core and wire are pure",
                            "leave it to the folder that does")
        for pattern, what, fix, tests_may in RULES:
            if not (test and tests_may) and re.search(pattern, line):
                yield Violation(path, number, what, "core and wire are pure", fix)
