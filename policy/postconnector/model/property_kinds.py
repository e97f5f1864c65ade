"""Which properties are true or false, numbers, lists: by the types that the model gives them."""

from typing import get_origin

from postconnector.model.send_connector import SendConnector

_TYPES = {name: field.annotation for name, field in SendConnector.model_fields.items()}

BOOLEANS = frozenset(name for name, kind in _TYPES.items() if kind is bool)
NUMBERS = frozenset(name for name, kind in _TYPES.items() if kind is int)
LISTS = frozenset(name for name, kind in _TYPES.items() if get_origin(kind) is tuple)
