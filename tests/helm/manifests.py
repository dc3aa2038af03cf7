"""Reads manifests on standard input.

show    prints them as a list in JSON
check   holds each against the schemas of the last three minor versions of Kubernetes, offline and strictly,
        or against those of crds.json if it is of a kind that Kubernetes does not know; prints a line a fault
"""

import functools
import json
import sys
from pathlib import Path

import jsonschema
import yaml
from kubernetes_validate import SchemaNotFoundError, ValidationError, utils

# A schema is read again for each object.
utils.schema_contents = functools.cache(utils.schema_contents)

VERSIONS = utils.all_versions()
OTHERS = json.loads(Path(__file__).with_name("crds.json").read_text())


class Loader(yaml.SafeLoader):
    """As Kubernetes reads it: a key that is there twice is a mistake."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def last_minors():
    """1.35.0 of 1.35.0 and 1.35.0-strict: once each, the last three."""
    minors = list(dict.fromkeys(utils.major_minor(version) for version in VERSIONS))
    return minors[-3:]


def faults(thing):
    kind = thing["kind"]
    known = f"{thing['apiVersion']}/{kind}"
    if known in OTHERS:
        for error in jsonschema.Draft202012Validator(OTHERS[known]).iter_errors(thing):
            yield known, f"{'.'.join(map(str, error.path))}: {error.message}"
        return
    for version in last_minors():
        try:
            utils.validate(thing, version, strict=True)
        except ValidationError as error:
            yield version, f"{'.'.join(map(str, error.path))}: {error.message}"
        except SchemaNotFoundError as error:
            yield version, error.message


def check(things):
    found = 0
    for thing in things:
        for where, what in faults(thing):
            print(f"{thing['kind']} {thing['metadata']['name']} ({where}): {what}")
            found += 1
    return found


def main(what):
    things = [thing for thing in yaml.load_all(sys.stdin.read(), Loader) if thing]
    if what == "show":
        json.dump(things, sys.stdout)
    elif what == "check":
        sys.exit(1 if check(things) else 0)
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
