"""Checks a Compose file (argument 1) against the Compose specification."""

import sys

import yaml
from compose_spec import ComposeSpecification

with open(sys.argv[1], encoding="utf-8") as file:
    document = yaml.safe_load(file)  # resolves anchors and merge keys
ComposeSpecification.model_validate(document)
print(", ".join(document["services"]))
