"""The messages of the contract, from bridge_v1.desc: the descriptors of plugins/bridgepb/bridge/v1/*.proto.

`go run ./internal/dev/protogen` writes that file. Whoever has protoc can as well make modules of the .proto files:
protoc -I plugins/bridgepb --python_out=. plugins/bridgepb/bridge/v1/*.proto
"""

import os

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "viaduct.bridge.v1."
STREAMS = {"Session", "Signals", "Calls"}

_pool = descriptor_pool.DescriptorPool()


def _class(descriptor):
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_pool).GetPrototype(descriptor)


def _load():
    files = descriptor_pb2.FileDescriptorSet()
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "bridge_v1.desc"), "rb") as f:
        files.ParseFromString(f.read())
    for file in files.file:  # those that others import come first
        _pool.AddSerializedFile(file.SerializeToString())
        for message in file.message_type:
            globals()[message.name] = _class(_pool.FindMessageTypeByName(PACKAGE + message.name))
        for enum in file.enum_type:
            globals().update({value.name: value.number for value in enum.value})


_load()


def methods():
    """Each method of the service Bridge: its name, and the classes of what comes in and goes out."""
    for method in _pool.FindServiceByName(PACKAGE + "Bridge").methods:
        yield method.name, _class(method.input_type), _class(method.output_type)
