import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Debezium's engine, drained from a slot that has a backlog: into nothing, or into a topic that exists. Arguments: host, port, user, database, slot, rows,
 * and for Kafka the brokers and the topic. Says "Streaming" on the standard error when the first events are there: what is measured begins then.
 */
public final class Drain {
    private static long count;

    public static void main(String[] args) throws Exception {
        long rows = Long.parseLong(args[5]);
        KafkaProducer<byte[], byte[]> producer = args.length > 6 ? producer(args[6]) : null;
        String topic = producer == null ? null : args[7];
        AtomicReference<Exception> failure = new AtomicReference<>();
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
            .using(source(args))
            .using((success, message, error) -> {
                if (!success) {
                    System.err.println(message);
                    if (error != null) error.printStackTrace();
                    System.exit(1);
                }
            })
            .notifying((List<ChangeEvent<String, String>> events, DebeziumEngine.RecordCommitter<ChangeEvent<String, String>> committer) -> {
                if (count == 0) System.err.println("Streaming");
                for (ChangeEvent<String, String> event : events) {
                    // As Kafka Connect does it: sent without waiting for the batch; the producer holds back when its memory is full.
                    if (producer != null) {
                        producer.send(new ProducerRecord<>(topic, bytes(event.key()), bytes(event.value())), (metadata, error) -> {
                            if (error != null) failure.set(error);
                        });
                    }
                    committer.markProcessed(event);
                }
                committer.markBatchFinished();
                count += events.size();
                if (count < rows) return;
                if (producer != null) producer.flush();
                if (failure.get() != null) failure.get().printStackTrace();
                System.out.println("{\"rows\":" + count + "}");
                System.out.flush();
                // Nothing is left to be done well: an orderly end would only add its own time.
                Runtime.getRuntime().halt(failure.get() == null ? 0 : 1);
            })
            .build();
        engine.run();
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static Properties source(String[] args) {
        Properties properties = new Properties();
        properties.setProperty("name", "bench");
        properties.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        properties.setProperty("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
        properties.setProperty("topic.prefix", "bench");
        properties.setProperty("database.hostname", args[0]);
        properties.setProperty("database.port", args[1]);
        properties.setProperty("database.user", args[2]);
        properties.setProperty("database.dbname", args[3]);
        properties.setProperty("plugin.name", "pgoutput");
        properties.setProperty("slot.name", args[4]);
        properties.setProperty("publication.name", "bench");
        properties.setProperty("publication.autocreate.mode", "disabled");
        properties.setProperty("table.include.list", "public.bench");
        properties.setProperty("snapshot.mode", "no_data");
        properties.setProperty("converter.schemas.enable", "false");
        // What its users tune first.
        properties.setProperty("max.batch.size", "8192");
        properties.setProperty("max.queue.size", "32768");
        properties.setProperty("poll.interval.ms", "10");
        return properties;
    }

    private static KafkaProducer<byte[], byte[]> producer(String brokers) {
        Properties properties = new Properties();
        properties.setProperty("bootstrap.servers", brokers);
        properties.setProperty("acks", "all");
        properties.setProperty("enable.idempotence", "true");
        properties.setProperty("batch.size", "262144");
        properties.setProperty("linger.ms", "5");
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }
}
