"""A client that shares no code with the service: it knows the protos only.

    client.py GRPC-ADDRESS PROTO-FOLDER

Each test has a facility of its own, computes what the service must answer
(recount.py), and compares every figure.
"""

import queue
import sys
import tempfile
import unittest

import grpc

from stubs import generate

ADDRESS, PROTOS = sys.argv[1:3]
STUBS = tempfile.TemporaryDirectory()
generate(PROTOS, STUBS.name)

from grpc_health.v1 import health_pb2, health_pb2_grpc
from quaymeter.v1 import event_pb2 as ev
from quaymeter.v1 import ingest_pb2 as ing
from quaymeter.v1 import ingest_pb2_grpc
from quaymeter.v1 import throughput_pb2 as thr
from quaymeter.v1 import throughput_pb2_grpc

import events
import reflection
from events import at, box, gate, party, plus, quay
from recount import book, figures, recount

# Every call has this deadline: a service that hangs fails the test.
DEADLINE_S = 60
# The events lie in [at(0), at(SPAN_S)).
SPAN_S = 4 * 3600


class Client(unittest.TestCase):
    """The two services, and what is asked again and again."""

    @classmethod
    def setUpClass(cls):
        options = [("grpc.enable_http_proxy", 0)]
        cls.channel = grpc.insecure_channel(ADDRESS, options=options)
        cls.ingest = ingest_pb2_grpc.IngestServiceStub(cls.channel)
        cls.throughput = throughput_pb2_grpc.ThroughputServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()

    def publish(self, batch, **more):
        request = ing.PublishEventsRequest(source="py", events=batch, **more)
        return self.ingest.PublishEvents(request, timeout=DEADLINE_S)

    def publish_all(self, batch):
        """Publishes what is valid throughout; returns its position."""
        answer = self.publish(batch)
        self.assertEqual((answer.accepted, answer.refused), (len(batch), 0), answer)
        self.assertEqual(list(answer.results), [])
        return answer.position

    def question(self, facility, position="", **more):
        asked = dict(
            filter=thr.Filter(facilities=[facility]),
            to=at(SPAN_S),
            grain=thr.GRAIN_QUARTER,
            group_by=[thr.DIMENSION_FACILITY, thr.DIMENSION_ENTERPRISE],
            at_least=position,
        )
        request = thr.GetThroughputRequest(**(asked | more))
        getattr(request, "from").CopyFrom(at(0))
        return request

    def answer(self, request):
        return self.throughput.GetThroughput(request, timeout=DEADLINE_S)

    def assert_counted(self, published, facility, position):
        """What is answered about the facility is what the events amount to."""
        answer = self.answer(self.question(facility, position))
        self.assertEqual(answer.next_page_token, "")
        self.assertNotEqual(answer.freshness.position, "")
        self.assertEqual(book(answer.rows), recount(published))

    def assert_refuses(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=DEADLINE_S)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())


class Batches(Client):
    def test_a_bad_event_is_refused_alone(self):
        here = "CNNBO/PYBATCH"
        good = gate("IN", here, "a", 0, "浙B12345", [box(1), box(2, "45G1", ev.FULLNESS_EMPTY, 3900)])
        last = gate("OUT", here, "b", 1800, "浙B12345", [box(3, "L5G1")])
        bad = gate("IN", here, "c", 60, "浙B54321", [box(4), box(5)])
        bad.gate_move.containers[1].number = "NOTABOX"
        answer = self.publish([good, bad, last])
        self.assertEqual((answer.accepted, answer.refused), (2, 1))
        self.assertEqual([result.index for result in answer.results], [1])
        result = answer.results[0]
        self.assertEqual(result.outcome, ing.OUTCOME_REFUSED)
        self.assertEqual(result.refusal.reason, ing.REASON_CONTAINER_NUMBER)
        self.assertEqual(result.refusal.field, "gate_move.containers[1].number")
        self.assertEqual(result.refusal.found, "NOTABOX")
        self.assertNotEqual(result.refusal.expected, "")
        self.assert_counted([good, last], here, answer.position)

    def test_a_suspect_event_is_accepted_with_warnings_and_refused_when_strict(self):
        here = "CNNBO/PYWARN"
        suspect = gate("IN", here, "a", 0, "浙B12345", [box(6, mass=None)])
        answer = self.publish([suspect])
        self.assertEqual((answer.accepted, answer.refused), (1, 0))
        (result,) = answer.results
        self.assertEqual(result.outcome, ing.OUTCOME_ACCEPTED)
        (warning,) = result.warnings
        self.assertEqual(warning.reason, ing.REASON_MISSING_MASS)
        self.assertEqual(warning.field, "gate_move.containers[0].gross_mass_kg")
        strict = self.publish([gate("IN", here, "b", 0, "浙B12345", [box(6, mass=None)])], strict=True)
        self.assertEqual((strict.accepted, strict.refused), (0, 1))
        self.assertEqual(strict.results[0].refusal.reason, ing.REASON_MISSING_MASS)
        self.assert_counted([suspect], here, strict.position or answer.position)

    def test_corrections_and_retractions_count_once_in_any_order(self):
        here = "CNNBO/PYCORR"
        first = gate("IN", here, "a", 0, "浙B11111", [box(7)])
        second = plus(gate("IN", here, "a", 900, "浙B11111", [box(7), box(8)]), revision=2)
        taken_back = gate("OUT", here, "b", 3000, "浙B11111", [box(9)])
        retraction = ev.Event(event_id="b", revision=1, facility=here, retracted=True)
        exit_ = gate("OUT", here, "c", 5400, "浙B11111", [])
        planned = gate("IN", here, "d", 0, "浙B22222", [box(10)])
        planned.classifier = ev.CLASSIFIER_PLANNED
        published = [second, retraction, exit_, planned, first, taken_back, second, exit_]
        positions = [self.publish_all([event]) for event in published]
        self.assert_counted(published, here, positions[-1])

    def test_a_bad_request_is_refused_whole(self):
        event = gate("IN", "CNNBO/PYBAD", "a", 0, "浙B12345", [])
        bad = grpc.StatusCode.INVALID_ARGUMENT
        publish = self.ingest.PublishEvents
        self.assert_refuses(bad, publish, ing.PublishEventsRequest(events=[event]))
        self.assert_refuses(bad, publish, ing.PublishEventsRequest(source="a b", events=[event]))
        self.assert_refuses(bad, publish, ing.PublishEventsRequest(source="py"))
        question = self.question("CNNBO/PYBAD")
        getattr(question, "from").seconds += 60
        self.assert_refuses(bad, self.throughput.GetThroughput, question)
        self.assert_refuses(bad, self.throughput.GetThroughput, thr.GetThroughputRequest())


class Stream:
    """One StreamEvents call, kept within the server's credit."""

    def __init__(self, stub, client_id):
        self.requests = queue.SimpleQueue()
        self.call = stub.StreamEvents(iter(self.requests.get, None), timeout=DEADLINE_S)
        opening = ing.StreamOpen(client_id=client_id, source="py")
        self.requests.put(ing.StreamEventsRequest(open=opening))
        self.opened = next(self.call).opened
        self.granted, self.sent = self.opened.granted_events, 0
        self.acknowledged, self.position = 0, ""
        self.accepted = self.refused = 0
        self.results = {}

    def send(self, sequence, batch):
        """Sends one batch, as soon as the credit allows it."""
        while self.sent + len(batch) > self.granted:
            self.read_ack()
        self.sent += len(batch)
        message = ing.StreamBatch(sequence=sequence, events=batch)
        self.requests.put(ing.StreamEventsRequest(batch=message))

    def read_ack(self):
        ack = next(self.call).ack
        if ack.sequence < self.acknowledged or ack.granted_events < self.granted:
            raise AssertionError(f"an acknowledgement went backwards: {ack}")
        self.acknowledged, self.granted = ack.sequence, ack.granted_events
        self.position = ack.position
        self.accepted += ack.accepted
        self.refused += ack.refused
        for of_batch in ack.results:
            self.results.setdefault(of_batch.sequence, []).extend(of_batch.results)

    def read_until(self, sequence):
        while self.acknowledged < sequence:
            self.read_ack()

    def finish(self):
        """Half-closes; the server ends in order and asks for no new stream."""
        self.requests.put(None)
        if any(message.HasField("resume_elsewhere") for message in self.call):
            raise AssertionError("asked to resume a finished stream")
        return self.call.code()

    def drop(self):
        """Loses the connection."""
        self.call.cancel()
        self.requests.put(None)


class Streams(Client):
    def test_acknowledgements_are_cumulative_and_name_what_was_refused(self):
        here = "CNNBO/PYACK"
        batches = {
            sequence: [gate("IN", here, f"{sequence}-{n}", n, "", [box(n)]) for n in range(5)]
            for sequence in (1, 3, 7)
        }
        batches[3][2].parties[0].role = ev.ROLE_UNSPECIFIED
        stream = Stream(self.ingest, "py-ack")
        self.assertGreaterEqual(stream.opened.granted_events, 10_000)
        self.assertGreater(stream.opened.batch_events_max, 0)
        for sequence, batch in batches.items():
            stream.send(sequence, batch)
        stream.read_until(7)
        self.assertEqual((stream.acknowledged, stream.accepted, stream.refused), (7, 14, 1))
        self.assertEqual(list(stream.results), [3])
        (result,) = stream.results[3]
        self.assertEqual((result.index, result.outcome), (2, ing.OUTCOME_REFUSED))
        self.assertEqual(result.refusal.field, "parties[0].role")
        self.assertEqual(stream.finish(), grpc.StatusCode.OK)
        valid = [event for batch in batches.values() for event in batch]
        valid.remove(batches[3][2])
        self.assert_counted(valid, here, stream.position)

    def test_what_was_not_acknowledged_is_sent_again_and_counts_once(self):
        here = "CNNBO/PYRESUME"
        batches = {
            sequence: [
                gate("OUT" if n % 2 else "IN", here, f"{sequence}-{n}", 300 * n, f"浙B7700{sequence}", [box(n)])
                for n in range(8)
            ]
            for sequence in range(1, 7)
        }
        lost = Stream(self.ingest, "py-resume")
        for sequence in (1, 2, 3, 4):
            lost.send(sequence, batches[sequence])
        lost.read_until(1)
        lost.drop()

        again = Stream(self.ingest, "py-resume")
        # One that was acknowledged goes out once more: a duplicate has no effect.
        for sequence in range(lost.acknowledged, 7):
            again.send(sequence, batches[sequence])
        again.read_until(6)
        self.assertEqual(again.refused, 0)
        self.assertEqual(again.finish(), grpc.StatusCode.OK)
        published = [event for batch in batches.values() for event in batch]
        self.assert_counted(published, here, again.position)

    def test_credit_is_granted_anew(self):
        here = "CNNBO/PYCREDIT"
        stream = Stream(self.ingest, "py-credit")
        published = []
        for sequence in range(1, 31):
            batch = [events.booking(here, f"{sequence}-{n}", n) for n in range(1000)]
            published += batch
            stream.send(sequence, batch)
        stream.read_until(30)
        self.assertEqual((stream.accepted, stream.refused), (30_000, 0))
        self.assertEqual(stream.finish(), grpc.StatusCode.OK)
        self.assert_counted(published, here, stream.position)


class Questions(Client):
    def test_pages_joined_are_the_whole_answer(self):
        here = "CNNBO/PYPAGE"
        published = [gate("IN", here, f"{n}", 900 * n, "", [box(n)]) for n in range(7)]
        position = self.publish_all(published)
        whole = self.answer(self.question(here, position))
        rows, token, pages = [], "", 0
        while token or not pages:
            page = self.answer(self.question(here, position, page_size=4, page_token=token))
            self.assertLessEqual(len(page.rows), 4)
            rows += page.rows
            token, pages = page.next_page_token, pages + 1
        self.assertEqual(len(rows), 14)
        self.assertEqual(rows, list(whole.rows))
        self.assertEqual(book(rows), recount(published))
        keys = [(row.start.seconds, row.enterprise, row.role) for row in rows]
        self.assertEqual(keys, sorted(keys))

    def test_durations_are_exact_in_sum_and_close_in_percentiles(self):
        here = "CNNBO/PYTURN"
        turns = [60 * n for n in range(1, 101)]
        published = []
        for n, turn in enumerate(turns):
            plate = f"浙B{n:05d}"
            published.append(gate("OUT", here, f"out-{n}", 6600 + n, plate, []))
            published.append(gate("IN", here, f"in-{n}", 6600 + n - turn, plate, []))
        position = self.publish_all(published)
        self.assert_counted(published, here, position)
        total = self.answer(self.question(here, position, grain=thr.GRAIN_TOTAL))
        row = next(row for row in total.rows if row.role == ev.ROLE_FLEET)
        (turned,) = row.figures.durations
        self.assertEqual(turned.kind, thr.DURATION_KIND_TRUCK_TURN)
        self.assertEqual((turned.count, turned.sum_ms), (100, 1000 * sum(turns)))
        self.assertEqual(sum(bucket.count for bucket in turned.buckets), 100)
        for rank, answered in ((50, turned.p50_s), (90, turned.p90_s), (95, turned.p95_s), (99, turned.p99_s)):
            self.assertAlmostEqual(answered, turns[rank - 1], delta=0.045 * turns[rank - 1])

    def test_leaders_are_ranked_and_ties_broken_by_id(self):
        here = "CNNBO/PYTOP"
        moves = [("smdg:BBB", 3), ("smdg:AAA", 3), ("smdg:CCC", 5), ("smdg:DDD", 1)]
        published = [
            quay("LOAD", here, f"{line}-{n}", 60 * n, "top-1", box(n), [party("CARRIER", line)])
            for line, count in moves
            for n in range(count)
        ]
        published.append(quay("LOAD", here, "restow", 0, "top-1", box(1), [party("CARRIER", "smdg:EEE")], restow=True))
        position = self.publish_all(published)
        request = thr.ListTopEnterprisesRequest(
            role=ev.ROLE_CARRIER, to=at(SPAN_S), limit=3, facilities=[here], at_least=position
        )
        getattr(request, "from").CopyFrom(at(0))
        for measure, each in ((thr.MEASURE_THROUGHPUT_BOXES, 1), (thr.MEASURE_THROUGHPUT_TEU_MILLI, 1000)):
            request.measure = measure
            answer = self.throughput.ListTopEnterprises(request, timeout=DEADLINE_S)
            leaders = [(one.rank, one.enterprise.id, one.value) for one in answer.enterprises]
            wanted = [(1, "smdg:CCC", 5 * each), (2, "smdg:AAA", 3 * each), (3, "smdg:BBB", 3 * each)]
            self.assertEqual(leaders, wanted)

    def test_a_vessel_call_has_moves_per_berth_hour(self):
        here, day = "CNNBO/PYCALL", events.SHANGHAI_DAY
        published = [events.vessel("UNBERTHED", here, "u", "call-1", day + 12 * 3600)]
        published += [events.vessel("BERTHED", here, "b", "call-1", day + 2 * 3600)]
        published += [events.vessel("BERTHED", here, "b2", "call-2", day + 3 * 3600)]
        for n in range(15):
            direction = "LOAD" if n < 9 else "DISCHARGE"
            move = quay(direction, here, f"m{n}", 0, "call-1", box(n), restow=n == 14)
            move.occurred_at.seconds = day + 3 * 3600 + 60 * n
            published.append(move)
        position = self.publish_all(published)
        request = thr.ListVesselCallsRequest(facilities=[here], at_least=position)
        getattr(request, "from").seconds = day
        request.to.seconds = day + 24 * 3600
        answer = self.throughput.ListVesselCalls(request, timeout=DEADLINE_S)
        first = thr.VesselCallRow(
            facility=here, call_id="call-1", vessel=events.VESSEL, loaded=9, discharged=5, restowed=1,
            berth_stays=1, berth_stay_ms=36_000_000, moves_per_berth_hour=1.4,
            classifier=ev.CLASSIFIER_ACTUAL,
        )
        second = thr.VesselCallRow(
            facility=here, call_id="call-2", vessel=events.VESSEL, classifier=ev.CLASSIFIER_ACTUAL
        )
        self.assertEqual(list(answer.calls), [first, second])

    def test_a_watch_tells_a_snapshot_then_changes_and_removals(self):
        here = "CNNBO/PYWATCH"
        stays = gate("IN", here, "a", 0, "", [box(1)])
        goes = gate("IN", here, "b", 3600, "", [box(2)])
        position = self.publish_all([stays, goes])
        request = thr.WatchThroughputRequest(query=self.question(here, position))
        request.interval.FromMilliseconds(100)
        watch = self.throughput.WatchThroughput(request, timeout=DEADLINE_S)
        first = next(watch)
        self.assertTrue(first.snapshot)
        rows = book(first.rows)
        self.assertEqual(rows, recount([stays, goes]))

        comes = gate("OUT", here, "c", 60, "", [box(3)])
        retraction = ev.Event(event_id="b", revision=1, facility=here, retracted=True)
        published = [stays, goes, comes, retraction]
        self.publish_all([comes, retraction])
        while rows != recount(published):
            change = next(watch)
            self.assertFalse(change.snapshot)
            rows |= book(change.rows)
            for row in change.removed:
                self.assertEqual(figures(row), {})
                del rows[events.key(row)]
        watch.cancel()


class Operations(Client):
    def test_health_says_serving(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        for service in ("", "quaymeter.v1.IngestService", "quaymeter.v1.ThroughputService"):
            request = health_pb2.HealthCheckRequest(service=service)
            answer = stub.Check(request, timeout=DEADLINE_S)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING, service)

    def test_reflection_tells_our_protos_in_both_versions(self):
        ours = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in (ev, ing, thr)}
        for version in ("v1", "v1alpha"):
            services = reflection.services(self.channel, version, DEADLINE_S)
            self.assertLessEqual(
                {"quaymeter.v1.IngestService", "quaymeter.v1.ThroughputService"}, services
            )
            told = reflection.files(self.channel, version, "quaymeter.v1.ThroughputService", DEADLINE_S)
            told |= reflection.files(self.channel, version, "quaymeter.v1.IngestService", DEADLINE_S)
            for name, descriptor in ours.items():
                self.assertEqual(reflection.shape(told[name]), reflection.shape(descriptor), name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
