"""What `broker` needs of sockets: ports that are free, and brokers that answer.

    probe.py hold COUNT
        Prints free ports of 127.0.0.1, with commas, and keeps them from others
        until its standard input ends.
    probe.py ready SECONDS IDS OWNER PORT:PID...
        Waits until the broker on each port answers and knows each of these
        brokers (1,2,3) to be at work. Fails when time is over, or at once when
        a process or the owner's (0 if there is none) has ended.
"""

import os
import random
import socket
import struct
import sys
import time

HOST = "127.0.0.1"
ANSWER_SECONDS = 2
PAUSE_SECONDS = 0.03

# The first version of Metadata that asks for no topics by an empty list.
METADATA, VERSION = 3, 1


def below_ephemeral():
    """Ports that the kernel gives to no outgoing connection. One of those could
    take the port of a broker that is down: a client that tries to reach it there
    can even get connected to itself."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
            first = int(limits.read().split()[0])
    except OSError:
        first = 32768
    ports = list(range(10_000, max(first, 20_000)))
    random.shuffle(ports)
    return ports


def hold(count):
    held = []
    for port in below_ephemeral():
        if len(held) == count:
            break
        holder = socket.socket()
        try:
            holder.bind((HOST, port))
        except OSError:
            holder.close()
            continue
        # It was bound as if for itself alone, so nobody else has it. From here
        # on whoever sets SO_REUSEADDR too, as Java does, can listen there, and
        # others who look for a free port still pass it by.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.append(holder)
    if len(held) < count:
        sys.exit("no free ports")
    print(",".join(str(holder.getsockname()[1]) for holder in held), flush=True)
    sys.stdin.read()


def receive(connection, length):
    received = b""
    while len(received) < length:
        part = connection.recv(length - len(received))
        if not part:
            raise OSError("the connection was closed")
        received += part
    return received


def at_work(port):
    """The ids of the brokers that this one knows to be at work."""
    client, no_topics = b"probe", 0
    head = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client
    request = head + struct.pack(">i", no_topics)
    with socket.create_connection((HOST, port), ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", receive(connection, 4))
        answer = receive(connection, length)
    _, count = struct.unpack_from(">ii", answer)
    ids, at = set(), 8
    for _ in range(count):
        (broker, host) = struct.unpack_from(">ih", answer, at)
        (rack,) = struct.unpack_from(">h", answer, at + 6 + host + 4)
        at += 6 + host + 4 + 2 + max(rack, 0)
        ids.add(broker)
    return ids


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_ready(port, wanted):
    try:
        return wanted <= at_work(port)
    except (OSError, struct.error):
        return False


def ready(seconds, wanted, owner, nodes):
    deadline = time.monotonic() + seconds
    for port, pid in nodes:
        while not is_ready(port, wanted):
            if not all(is_alive(pid) for _, pid in nodes):
                sys.exit("a node ended while it was starting")
            if owner and not is_alive(owner):
                sys.exit("the owner is gone")
            if time.monotonic() > deadline:
                sys.exit(f"not ready within {seconds} s")
            time.sleep(PAUSE_SECONDS)


def main(arguments):
    match arguments:
        case ["hold", count]:
            hold(int(count))
        case ["ready", seconds, ids, owner, *nodes]:
            wanted = {int(broker) for broker in ids.split(",")}
            pairs = [tuple(map(int, node.split(":"))) for node in nodes]
            ready(float(seconds), wanted, int(owner), pairs)
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
