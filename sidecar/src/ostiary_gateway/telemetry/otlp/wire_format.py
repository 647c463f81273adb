"""The parts of Protocol Buffers' wire format that OTLP's traces need."""

import struct
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_SMALL: Final = tuple(bytes((number,)) for number in range(128))
_double = struct.Struct("<d").pack
_fixed32 = struct.Struct("<I").pack
_MASK64: Final = (1 << 64) - 1
_VARINT_BYTES: Final = 10


def varint(number: int) -> bytes:
    """A non-negative number below 2^64 in groups of seven bits, the lowest first."""
    if number < 128:
        return _SMALL[number]
    if number < 16384:
        return bytes((number & 127 | 128, number >> 7))
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def int64(number: int) -> bytes:
    """A signed number of 64 bits as a varint: a negative one is ten bytes of two's complement."""
    return varint(number & _MASK64)


def tag(field: int, wire_type: int) -> bytes:
    """The tag in front of a field's value."""
    return varint(field << 3 | wire_type)


def delimited(field_tag: bytes, value: bytes) -> bytes:
    """A field of bytes, text or a message: tag, length, value."""
    return field_tag + varint(len(value)) + value


def text(value: str) -> bytes:
    """UTF-8, with "?" for half a surrogate pair, which protobuf refuses."""
    return value.encode("utf-8", "replace")


def double(number: float) -> bytes:
    """Eight bytes, little-endian."""
    return _double(number)


def fixed32(number: int) -> bytes:
    """Four bytes, little-endian, unsigned."""
    return _fixed32(number)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message.

    Each has a number and a value, a varint as a number and everything else as bytes.

    Raises ``ValueError`` for bytes that are not a message.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        wire_type = key & 7
        if wire_type == VARINT:
            number, position = _read_varint(message, position)
            yield key >> 3, number
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
        if wire_type == LENGTH:
            size, position = _read_varint(message, position)
        if size is None or position + size > len(message):
            raise ValueError("not a protobuf message")
        yield key >> 3, message[position : position + size]
        position += size


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at ``position`` and where it ends."""
    number = 0
    for shift, byte in enumerate(message[position : position + _VARINT_BYTES]):
        number |= (byte & 127) << 7 * shift
        if byte < 128:
            return number & _MASK64, position + shift + 1
    raise ValueError("not a protobuf message")
