// Kafka Streams: the same work in its processor API, one stream thread, at least once.
//
// What it holds of a person stands in a store with a changelog topic, in memory. Records are read
// by Jackson's streaming parser, only the needed fields; what the rule cannot use is dropped by
// hand. Told by the environment variable CONTENDER, as the other contenders are.

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class OnStreams {
    private static final JsonFactory JSON = new JsonFactory();

    private static Map<String, String> read(byte[] raw) throws IOException {
        Map<String, String> found = new HashMap<>(32);
        try (JsonParser parser = JSON.createParser(raw)) {
            while (parser.nextToken() != null) {
                if (parser.currentToken().isScalarValue()
                        && parser.currentToken() != JsonToken.VALUE_NULL) {
                    found.put(parser.currentName(), parser.getText());
                }
            }
        }
        return found;
    }

    private static boolean isCall(Map<String, String> r) {
        return "ringfence.call_invitation.v1".equals(r.get("type"));
    }

    private static boolean isKept(Map<String, String> r, BigDecimal least) {
        if (isCall(r)) {
            String relationship = r.get("relationship");
            return "video".equals(r.get("media")) && "incoming".equals(r.get("direction"))
                    && ("stranger".equals(relationship) || "one_way_prior".equals(relationship))
                    && r.get("answered_at") != null;
        }
        String kind = r.get("payee_kind");
        String status = r.get("status");
        return "out".equals(r.get("direction")) && "0".equals(r.get("payee_times_paid"))
                && !"rejected".equals(status) && !"recalled".equals(status)
                && ("personal".equals(kind) || "unknown".equals(kind))
                && new BigDecimal(r.get("amount")).compareTo(least) >= 0;
    }

    private static BigDecimal leastAmount(JsonNode variants) {
        BigDecimal least = null;
        for (JsonNode limits : variants) {
            BigDecimal own = limits.get("min_amount").decimalValue();
            least = least == null ? own : own.min(least);
        }
        return least;
    }

    private static double seconds(String moment) {
        OffsetDateTime at = OffsetDateTime.parse(moment);
        return at.toEpochSecond() + at.getNano() / 1e9;
    }

    private static final class Drop implements Processor<byte[], byte[], byte[], byte[]> {
        private final BigDecimal least;
        private ProcessorContext<byte[], byte[]> context;

        Drop(BigDecimal given) {
            least = given;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            try {
                Map<String, String> told = read(record.value());
                if (isKept(told, least)) {
                    byte[] person = told.get("person").getBytes(StandardCharsets.UTF_8);
                    context.forward(record.withKey(person));
                }
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static final class Match implements Processor<byte[], byte[], byte[], byte[]> {
        private final JsonNode variants;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, String> store;

        Match(JsonNode told) {
            variants = told;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            store = given.getStateStore("people");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            try {
                Map<String, String> told = read(record.value());
                String person = told.get("person");
                String held = store.get(person);
                String row = isCall(told)
                        ? "c " + seconds(told.get("invited_at")) + " "
                                + seconds(told.get("ended_at")) + " "
                                + seconds(told.get("answered_at"))
                        : "p " + seconds(told.get("initiated_at")) + " " + told.get("amount")
                                + " " + told.get("transfer_id");
                if (held != null) {
                    for (String other : held.split("\n")) {
                        if (other.charAt(0) != row.charAt(0)) {
                            boolean isCall = row.charAt(0) == 'c';
                            match(isCall ? row : other, isCall ? other : row, record);
                        }
                    }
                }
                store.put(person, held == null ? row : held + "\n" + row);
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        private void match(String callRow, String payRow, Record<byte[], byte[]> record) {
            String[] call = callRow.split(" ");
            String[] pay = payRow.split(" ");
            double begins = Double.parseDouble(call[1]);
            double ends = Double.parseDouble(call[2]);
            double talk = ends - Double.parseDouble(call[3]);
            double at = Double.parseDouble(pay[1]);
            BigDecimal amount = new BigDecimal(pay[2]);
            for (JsonNode limits : variants) {
                if (begins <= at && at <= ends + limits.get("after_call_s").asDouble()
                        && talk >= limits.get("min_talk_s").asDouble()
                        && amount.compareTo(limits.get("min_amount").decimalValue()) >= 0) {
                    String alert = limits.get("rule").asText() + "\t" + pay[3];
                    context.forward(record.withValue(alert.getBytes(StandardCharsets.UTF_8)));
                }
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        JsonNode told = new ObjectMapper().readTree(System.getenv("CONTENDER"));
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("group").asText());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("broker").asText());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, told.get("folder").asText());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        Class<?> bytes = Serdes.ByteArray().getClass();
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, bytes);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, bytes);

        List<String> outside = new ArrayList<>();
        told.get("outside").forEach(name -> outside.add(name.asText()));
        Topology topology = new Topology();
        topology.addSource("outside", outside.toArray(new String[0]));
        BigDecimal least = leastAmount(told.get("variants"));
        topology.addProcessor("drop", () -> new Drop(least), "outside");
        topology.addSink("forward", told.get("kept").asText(), "drop");
        topology.addSource("kept", told.get("kept").asText());
        topology.addProcessor("match", () -> new Match(told.get("variants")), "kept");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(
                        Stores.inMemoryKeyValueStore("people"), Serdes.String(), Serdes.String()),
                "match");
        topology.addSink("alert", told.get("alerts").asText(), "match");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
