"""XML from strangers: read without document types, entities or anything from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.parsers import expat


def read_strictly(
    text: str | bytes,
    refusal: Callable[[str], Exception],
    *,
    start: Callable[[str, dict[str, str]], Any],
    end: Callable[[str], Any],
    characters: Callable[[str], Any],
) -> None:
    """Call ``start``, ``end`` and ``characters`` for the elements of an XML document and the text in them.

    Parameters
    ----------
    refusal : makes the error that is raised of what is wrong: malformed XML, a document type, an entity
    """

    def refuse(*_: Any) -> None:
        raise refusal("XML with a document type or entities is not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse  # type: ignore[assignment]
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise refusal(f"malformed XML: {error}") from error
