"""The rules behind tools/check.py: one module a rule, each with run(tree) that yields Violations."""
