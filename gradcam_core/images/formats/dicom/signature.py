"""Whether a file is DICOM, by its first bytes."""

from __future__ import annotations

import struct

HEAD_BYTES = 512

_FIRST_GROUPS = (0x0002, 0x0008)  # file meta information, and identification of the object
_LAST_GROUP = 0x7FE0  # pixel data
_LONG_VRS = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
_SHORT_VRS = frozenset(
    ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS",
     "ST", "TM", "UI", "UL", "US")
)  # fmt: skip


def is_dicom(head: bytes) -> bool:
    """head: the first bytes of a file, `HEAD_BYTES` of them or all there are.

    A DICOM file has 128 arbitrary bytes and then DICM; older files begin with their first element.
    """
    return head[128:132] == b"DICM" or any(_has_elements(head, order) for order in "<>")


def _has_elements(head: bytes, order: str) -> bool:
    """Whether `head` begins with two elements in order, or with one that fills it."""
    place, tags = 0, [(0, -1)]
    while len(tags) < 3 and place + 8 <= len(head):
        element = _element(head, place, order)
        if element is None:
            return False
        tag, place = element
        is_next = tag > tags[-1] and tag[0] <= _LAST_GROUP
        if not is_next or (len(tags) == 1 and tag[0] not in _FIRST_GROUPS):
            return False
        tags.append(tag)
    return len(tags) > 1


def _element(head: bytes, place: int, order: str) -> tuple[tuple[int, int], int] | None:
    """The element's tag, and where the next element begins; None if it makes no sense."""
    group, number = struct.unpack_from(f"{order}HH", head, place)
    vr = head[place + 4 : place + 6].decode("latin-1")
    try:
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from(f"{order}L", head, place + 8)
            start = place + 12
        elif vr in _SHORT_VRS:
            (length,) = struct.unpack_from(f"{order}H", head, place + 6)
            start = place + 8
        else:  # the VR is implicit
            (length,) = struct.unpack_from(f"{order}L", head, place + 4)
            start = place + 8
            if length > 2**16 or order == ">":
                return None
    except struct.error:
        return None
    return None if length % 2 else ((group, number), start + length)
