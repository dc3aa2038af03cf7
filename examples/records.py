"""Reads the events' topic as any program may that knows docs/records.md.

    pip install confluent-kafka grpcio-tools
    mkdir stubs && python -m grpc_tools.protoc -Iproto --python_out=stubs proto/quaymeter/v1/event.proto
    PYTHONPATH=stubs python examples/records.py BROKERS TOPIC

Prints a line of JSON for each record that is there now, in each partition's
order, and fails if one is not what the page promises.
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from google.protobuf import json_format
from quaymeter.v1 import event_pb2

BROKERS, TOPIC = sys.argv[1:3]

# A broker that hangs fails the test.
DEADLINE_S = 60


def messages():
    """Every message from the topic's beginning to its present end."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "unused", "enable.partition.eof": True})
    partitions = consumer.list_topics(TOPIC, timeout=DEADLINE_S).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in partitions])
    open_partitions, began = set(partitions), time.monotonic()
    while open_partitions:
        if time.monotonic() - began > DEADLINE_S:
            raise SystemExit("the topic's end is not reached in time")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            yield message
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_partitions.discard(message.partition())
        else:
            raise SystemExit(f"{message.error()}")
    consumer.close()


def told(message):
    """What a record says."""
    headers = dict(message.headers())
    if headers["quaymeter-type"] != b"quaymeter.v1.Event" or headers["quaymeter-schema"] != b"1":
        raise SystemExit(f"not for this program: {headers}")
    event = event_pb2.Event.FromString(message.value())
    if event.facility.encode() != message.key():
        raise SystemExit(f"{message.key()} is not the facility {event.facility}")
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "source": headers["quaymeter-source"].decode(),
        "appended_ms": int(headers["quaymeter-appended-ms"]),
        "traceparent": headers.get("traceparent", b"").decode(),
        "event": json_format.MessageToDict(event, preserving_proto_field_name=True),
    }


for message in messages():
    print(json.dumps(told(message)))
