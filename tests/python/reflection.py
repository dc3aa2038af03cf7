"""Asks gRPC reflection, in either of its versions; they differ in name only."""

from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2


def ask(channel, version, request, deadline_s):
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    (answer,) = call(iter([request]), timeout=deadline_s)
    return answer


def services(channel, version, deadline_s):
    """The names of all services."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = ask(channel, version, request, deadline_s)
    return {service.name for service in answer.list_services_response.service}


def files(channel, version, symbol, deadline_s):
    """The files that are needed for this symbol, by name."""
    found, wanted = {}, [reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)]
    while wanted:
        answer = ask(channel, version, wanted.pop(), deadline_s)
        for encoded in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            found[file.name] = file
            wanted += [
                reflection_pb2.ServerReflectionRequest(file_by_filename=name)
                for name in file.dependency
                if name not in found
            ]
    return found


def shape(file):
    """All that matters of a file on the wire: names, numbers and types."""
    proto = descriptor_pb2.FileDescriptorProto()
    if isinstance(file, descriptor_pb2.FileDescriptorProto):
        proto.CopyFrom(file)
    else:
        file.CopyToProto(proto)
    messages = {
        message.name: [
            (field.name, field.number, field.type, field.label, field.type_name)
            for field in message.field
        ]
        for message in proto.message_type
    }
    enums = {enum.name: [(value.name, value.number) for value in enum.value] for enum in proto.enum_type}
    methods = {
        service.name: [
            (method.name, method.input_type, method.output_type, method.client_streaming, method.server_streaming)
            for method in service.method
        ]
        for service in proto.service
    }
    return messages, enums, methods
