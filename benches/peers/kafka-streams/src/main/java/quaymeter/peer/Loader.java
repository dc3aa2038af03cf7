package quaymeter.peer;

import com.google.protobuf.CodedInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import quaymeter.v1.EventOuterClass.Event;

/**
 * Fills a topic with the events of an embedded log, as quaymeter itself would
 * append them: the same key, value and headers, in the same order. So one
 * simulated day is a backlog that can be had again and again, under as many
 * prefixes as there are contenders.
 */
final class Loader {
    private static final int SEGMENT_HEADER = 56;
    private static final int FRAME_HEADER = 36;
    /** The mark F1 "qm" 01, read with the lowest byte first. */
    private static final int MARK = 0x016d71f1;

    private Loader() {}

    static long load(Options options) throws IOException, InterruptedException, ExecutionException {
        create(options);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.brokers());
        settings.put("linger.ms", 20);
        settings.put("batch.size", 256 * 1024);
        AtomicReference<Exception> failure = new AtomicReference<>();
        long events = 0;
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Path segment : segments(options.log())) {
                events += read(segment, options.events(), record -> producer.send(record, (done, error) -> {
                    if (error != null) {
                        failure.set(error);
                    }
                }));
            }
        }
        if (failure.get() != null) {
            throw new IOException("an event was not appended", failure.get());
        }
        return events;
    }

    /** The topic must be new: a day that stands there twice is all duplicates the second time. */
    private static void create(Options options) throws ExecutionException, InterruptedException {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.brokers());
        try (Admin admin = Admin.create(settings)) {
            boolean there = admin.listTopics().names().get().contains(options.events());
            if (!there) {
                NewTopic topic = new NewTopic(options.events(), Optional.of(options.partitions()), Optional.empty())
                        .configs(Map.of("retention.ms", "-1", "message.timestamp.type", "CreateTime"));
                admin.createTopics(List.of(topic)).all().get();
                return;
            }
            var offsets = new Backlog(options.brokers(), options.events(), "none");
            try (offsets) {
                if (!offsets.isEmpty()) {
                    throw new IllegalArgumentException(options.events() + " has events already");
                }
            }
        }
    }

    private static List<Path> segments(Path dir) throws IOException {
        try (Stream<Path> files = Files.list(dir)) {
            return files.filter(file -> file.getFileName().toString().matches("\\d{20}\\.log"))
                    .sorted(Comparator.naturalOrder()).toList();
        }
    }

    /** Hands over the records of one segment; its format is told in src/log/segment.rs and frame.rs. */
    private static long read(Path segment, String topic, Consumer<ProducerRecord<byte[], byte[]>> to)
            throws IOException {
        long records = 0;
        try (FileChannel file = FileChannel.open(segment)) {
            ByteBuffer bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size()).order(ByteOrder.LITTLE_ENDIAN);
            bytes.position(SEGMENT_HEADER);
            while (bytes.remaining() >= FRAME_HEADER) {
                int start = bytes.position();
                if (bytes.getInt(start) != MARK) {
                    throw new IOException(segment + " has no frame at " + start);
                }
                int body = bytes.getInt(start + 4);
                long appendedMs = bytes.getLong(start + 24);
                records += frame(bytes.slice(start + FRAME_HEADER, body), appendedMs, topic, to);
                bytes.position(start + FRAME_HEADER + body);
            }
        }
        return records;
    }

    private static long frame(ByteBuffer body, long appendedMs, String topic,
            Consumer<ProducerRecord<byte[], byte[]>> to) throws IOException {
        long records = 0;
        CodedInputStream in = CodedInputStream.newInstance(body);
        String schema = "";
        String source = "";
        for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
            switch (tag >>> 3) {
                case 1 -> schema = Integer.toString(in.readUInt32());
                case 2 -> source = in.readString();
                case 4 -> {
                    to.accept(record(topic, in.readByteArray(), schema, source, appendedMs));
                    records++;
                }
                default -> in.skipField(tag);
            }
        }
        return records;
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, byte[] value, String schema, String source,
            long appendedMs) throws IOException {
        String facility = Event.parseFrom(value).getFacility();
        var record = new ProducerRecord<>(topic, null, appendedMs, text(facility), value);
        record.headers().add("quaymeter-type", text("quaymeter.v1.Event"))
                .add("quaymeter-schema", text(schema))
                .add("quaymeter-source", text(source))
                .add("quaymeter-appended-ms", text(Long.toString(appendedMs)));
        return record;
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
