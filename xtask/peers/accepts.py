"""Whether a request is what a service's OpenAPI document asks for: accepts.py DOCUMENT < request.json

The request is {"method", "path", "content_type", "body"}, its path without what goes before the document's own paths. Prints
one line for each thing that is wrong. A field that the document does not know is wrong.
"""

import json
import re
import sys
from urllib.parse import parse_qsl

from openapi_schema_validator import OAS30Validator


def resolved(node, document, seen=()):
    """The schema with its references filled in, and no room for fields that it does not name."""
    if isinstance(node, list):
        return [resolved(entry, document, seen) for entry in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        reference = node["$ref"]
        if reference in seen:
            return {}
        target = document
        for part in reference.lstrip("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        return resolved(target, document, (*seen, reference))
    filled = {name: resolved(value, document, seen) for name, value in node.items()}
    is_closed = filled.get("type") == "object" and filled.get("properties") and "allOf" not in node
    if is_closed and isinstance(filled["properties"], dict):
        filled.setdefault("additionalProperties", False)
    return filled


def matches(template, path):
    pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


def typed(name, text, schema):
    """A field of a form, as the type that the document has for it."""
    kind = schema.get("properties", {}).get(name, {}).get("type")
    if kind == "integer":
        return int(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return text


def problems(document, request):
    paths = [methods for path, methods in document["paths"].items() if matches(path, request["path"])]
    operations = [methods[request["method"].lower()] for methods in paths if request["method"].lower() in methods]
    if not operations:
        return [f"there is no {request['method']} {request['path']}"]
    content = operations[0]["requestBody"]["content"]
    kind = request["content_type"].split(";")[0]
    if kind not in content:
        return [f"{kind} is none of {list(content)}"]
    schema = resolved(content[kind]["schema"], document)
    if kind == "application/json":
        body = json.loads(request["body"])
    else:
        body = {name: typed(name, text, schema) for name, text in parse_qsl(request["body"], keep_blank_values=True)}
    return [f"{list(error.absolute_path)}: {error.message}" for error in OAS30Validator(schema).iter_errors(body)]


with open(sys.argv[1], encoding="utf-8") as file:
    print("\n".join(problems(json.load(file), json.load(sys.stdin))))
