"""The generators behind tools/gen.py: one module a schema, each a function that yields (path, text)."""
from generate.errors import errors
from generate.metrics import metrics
from generate.objects import objects
from generate.options import options

GENERATORS = (errors, options, objects, metrics)
