"""The messages of the pipe, written down from the contract and nothing else, and a codec for them that refuses whatever the contract does
not have: an unknown field, a wrong type, text that is not UTF-8, a field twice."""

import struct


class Broken(Exception):
    """Bytes that are no message of the contract."""


MAX_MESSAGE = 16 << 20

# A message is {field number: (name, type)}; a type is one of the words below, a message, or a list of one type (repeated).
OUTPUT = {2: ("at_end", "uint32")}
NETWORK = {1: ("addr", "string"), 2: ("gateway", "string"), 3: ("mask", "string"), 4: ("if_addr", "string")}
HOST = {1: ("key", "string"), 2: ("value", "string")}
HELLO = {1: ("version", "string")}
REQUEST = {
    1: ("id", "uint64"),
    2: ("hello", HELLO),
    10: ("run", {1: ("bin", "string"), 2: ("args", ["string"]), 3: ("work_dir", "string"), 4: ("stdout", OUTPUT), 5: ("stderr", OUTPUT)}),
    11: ("kill", {1: ("pid", "uint64"), 2: ("signal", "int32")}),
    12: ("shutdown", {}),
    30: ("network", {1: ("networks", [NETWORK]), 2: ("hosts", [HOST]), 3: ("interface", "enum")}),
}
RESPONSE = {
    1: ("event", "bool"),
    2: ("id", "uint64"),
    3: ("error", {1: ("code", "enum"), 2: ("message", "string"), 3: ("context", [HOST])}),
    4: ("hello", HELLO),
    10: ("run", {1: ("pid", "uint64")}),
    11: ("kill", {}),
    12: ("shutdown", {}),
    20: ("status", {1: ("pid", "uint64"), 2: ("running", "bool"), 3: ("return_code", "int32"), 4: ("stdout", "bytes"), 5: ("stderr", "bytes")}),
    21: ("rt_status", {1: ("state", {1: ("name", "string"), 2: ("value", "bytes")}),
                       2: ("counter", {1: ("name", "string"), 2: ("value", "double")})}),
    30: ("network", {1: ("unix_stream", "string"), 2: ("unix_datagram", "string"), 3: ("udp_datagram", "string"),
                     4: ("tcp_listener", "string"), 5: ("tcp_stream", "string")}),
}
INTERNAL, NOT_FOUND, BAD_REQUEST = range(3)
VPN, INET = range(2)
VARINT, FIXED64, BYTES = 0, 1, 2


def varint(value):
    value &= (1 << 64) - 1  # a negative number takes ten bytes
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    """The number at data[at] and where it ends; None where it is not whole yet."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            return None
        byte = data[at + i]
        value |= (byte & 0x7f) << (7 * i)
        if byte < 0x80:
            if value >= 1 << 64:
                raise Broken("a varint beyond 64 bits")
            return value, at + i + 1
    raise Broken("a varint of more than 10 bytes")


def encode(schema, values):
    out = bytearray()
    for number, (name, kind) in schema.items():
        if name not in values:
            continue
        for value in values[name] if isinstance(kind, list) else [values[name]]:
            element = kind[0] if isinstance(kind, list) else kind
            if isinstance(element, dict):
                value = encode(element, value)
            if isinstance(value, str):
                value = value.encode()
            if isinstance(value, bytes):
                out += varint(number << 3 | BYTES) + varint(len(value)) + value
            else:
                out += varint(number << 3 | VARINT) + varint(int(value))
    return bytes(out)


def raw_fields(data):
    """Each field as (number, wire type, value)."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at) or (None, 0)
        if tag is None:
            raise Broken("a message that is cut short")
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            read = read_varint(data, at)
            if not read:
                raise Broken("a number that is cut short")
            value, at = read
        elif wire == FIXED64:
            value, at = data[at:at + 8], at + 8
        elif wire == BYTES:
            read = read_varint(data, at)
            if not read:
                raise Broken("a length that is cut short")
            size, at = read
            value, at = data[at:at + size], at + size
        else:
            raise Broken(f"wire type {wire}")
        if at > len(data):
            raise Broken("a field that is cut short")
        yield number, wire, value


def scalar(kind, name, wire, value):
    if wire != (FIXED64 if kind == "double" else BYTES if kind in ("string", "bytes") else VARINT):
        raise Broken(f"{name} has wire type {wire}")
    if kind == "string":
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise Broken(f"{name} is not UTF-8") from None
    if kind == "bytes":
        return bytes(value)
    if kind == "double":
        return struct.unpack("<d", value)[0]
    if kind == "bool":
        return value != 0
    if kind == "int32":
        return struct.unpack("<i", struct.pack("<I", value & 0xffffffff))[0]
    return value


def decode(schema, data):
    values = {}
    for number, wire, value in raw_fields(data):
        if number not in schema:
            raise Broken(f"a field {number} that the contract does not have")
        name, kind = schema[number]
        element = kind[0] if isinstance(kind, list) else kind
        if isinstance(element, dict):
            if wire != BYTES:
                raise Broken(f"{name} has wire type {wire}")
            value = decode(element, value)
        else:
            value = scalar(element, name, wire, value)
        if isinstance(kind, list):
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Broken(f"{name} twice")
        else:
            values[name] = value
    return values


def frame(message):
    return varint(len(message)) + message


class Frames:
    """Takes a stream of frames apart."""

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data
        at = 0
        while True:
            length = read_varint(self.data, at)
            if not length:
                break
            size, begin = length
            if size > MAX_MESSAGE:
                raise Broken(f"a frame of {size} bytes")
            if begin + size > len(self.data):
                break
            yield bytes(self.data[begin:begin + size])
            at = begin + size
        del self.data[:at]
