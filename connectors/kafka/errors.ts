import { defineError, type ErrorKind } from '#plugin';

// Reaching the brokers

export const unreachable = defineError({
  code: 'SLUICE_KAFKA_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'No Kafka broker can be used ({detail}).',
  remedy:
    'Check "brokers", that a broker runs there, that the network lets this machine through, that "tls" and "sasl" are what its listener expects (where they are not, the connection is just closed), and that the addresses in its advertised.listeners can be reached from here; it is tried again.',
});

export const authentication = defineError({
  code: 'SLUICE_KAFKA_AUTH',
  refusesCredentials: true,
  retry: 'manual',
  exit: 2,
  cause: 'The Kafka broker did not accept the credentials ({detail}).',
  remedy:
    'Check "sasl": the mechanism must be one of the listener\'s sasl.enabled.mechanisms, and user and password those of the broker. A listener without any login answers ILLEGAL_SASL_STATE: then use another port, or leave "sasl" out.',
});

export const tlsFailed = defineError({
  code: 'SLUICE_KAFKA_TLS',
  retry: 'manual',
  exit: 2,
  cause: 'No TLS connection to the Kafka broker: {detail}.',
  remedy:
    'Set "tls.ca" to the PEM file of the authority that signed the brokers\' certificates, "tls.cert" and "tls.key" where the listener asks for a client certificate, "tls.serverName" where the certificate is for another name; a PLAINTEXT or SASL_PLAINTEXT listener is reached without a "tls" section.',
});

export const tlsFile = defineError({
  code: 'SLUICE_KAFKA_TLS_FILE',
  retry: 'never',
  exit: 2,
  cause: 'The file "{path}" of "tls.{option}" {detail}.',
  remedy: 'Correct the path; the file must be PEM and readable by the user that runs Sluice.',
});

export const noToken = defineError({
  code: 'SLUICE_KAFKA_TOKEN',
  retry: 'manual',
  exit: 3,
  cause: 'What "sasl.token" gives is no token: {detail}.',
  remedy:
    'It must be a token, or a JSON object with "access_token", and nothing else; where a command prints it, run that by hand to see what it prints.',
  refusesCredentials: true,
});

export const versionUnsupported = defineError({
  code: 'SLUICE_KAFKA_VERSION',
  retry: 'manual',
  exit: 2,
  cause: 'The Kafka broker is too old for this driver: {detail}.',
  remedy: 'Set "driver": "kafkajs" in the sink, or upgrade the brokers to Kafka 3.0 or later.',
});

// Topics

export const topicMissing = defineError({
  code: 'SLUICE_KAFKA_TOPIC_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'There is no topic "{topic}", and topics may not be created here ("createTopics": false).',
  remedy:
    'kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} --partitions 6 --replication-factor 3 --config min.insync.replicas=2 (replicas: no more than there are brokers)',
});

export const topicRefused = defineError({
  code: 'SLUICE_KAFKA_TOPIC_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'The topic "{topic}" could not be created: {detail}.',
  remedy:
    'INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS, INVALID_CONFIG: change "replication" (no more than there are brokers), "partitions" or "topicSettings". TOPIC_AUTHORIZATION_FAILED: kafka-acls.sh --bootstrap-server … --add --allow-principal User:<user> --operation Create --topic {topic}. Or create the topic by hand.',
});

export const topicForbidden = defineError({
  code: 'SLUICE_KAFKA_TOPIC_FORBIDDEN',
  retry: 'manual',
  exit: 3,
  cause: 'This Kafka user has not the right {operation} on the topic "{topic}" ({detail}).',
  remedy:
    'kafka-acls.sh --bootstrap-server … --add --allow-principal User:<user> --operation Write --operation Read --operation Describe --topic {topic}',
});

export const clusterForbidden = defineError({
  code: 'SLUICE_KAFKA_CLUSTER_FORBIDDEN',
  retry: 'manual',
  exit: 3,
  cause: 'This Kafka user may not write as an idempotent producer, or may not ask for what was asked ({detail}).',
  remedy: 'kafka-acls.sh --bootstrap-server … --add --allow-principal User:<user> --operation IdempotentWrite --cluster',
});

export const groupForbidden = defineError({
  code: 'SLUICE_KAFKA_GROUP_FORBIDDEN',
  retry: 'manual',
  exit: 3,
  cause: 'This Kafka user may not read as a consumer group, which the driver kafkajs needs to read back what it wrote ({detail}).',
  remedy: 'kafka-acls.sh --bootstrap-server … --add --allow-principal User:<user> --operation Read --group {group} --resource-pattern-type prefixed',
});

export const topicLost = defineError({
  code: 'SLUICE_KAFKA_TOPIC_LOST',
  retry: 'manual',
  exit: 3,
  cause: 'The topic "{topic}" is not the one that this connector wrote to ({detail}): what was confirmed there may be gone.',
  remedy:
    'Restore the topic, or create it again and go on without what is gone: sluice offsets recover --connector {connector} --from slot. To publish again what the source still has, after that also: sluice offsets set --connector {connector} --position …',
});

export const otherCluster = defineError({
  code: 'SLUICE_KAFKA_OTHER_CLUSTER',
  retry: 'manual',
  exit: 3,
  cause: 'This is the Kafka cluster {found}; the connector "{connector}" wrote to the cluster {saved}.',
  remedy:
    'Correct "brokers". To go on in the new cluster, where nothing of before stands: sluice offsets recover --connector {connector} --from slot',
});

export const partitionsFewer = defineError({
  code: 'SLUICE_KAFKA_PARTITIONS_FEWER',
  retry: 'manual',
  exit: 3,
  cause: 'The topic "{topic}" has {found} partitions; this connector wrote to {saved}.',
  remedy: 'Restore the topic. To go on with it as it is: sluice offsets recover --connector {connector} --from slot',
});

export const nameTooLong = defineError({
  code: 'SLUICE_KAFKA_TOPIC_NAME',
  retry: 'never',
  exit: 2,
  cause: 'The topic "{topic}" would have a name of {length} characters; Kafka allows {limit}.',
  remedy: 'Shorten the template in "topic", or the name of the connector.',
});

// Single messages

export const messageTooLarge = defineError({
  code: 'SLUICE_KAFKA_MESSAGE_TOO_LARGE',
  retry: 'manual',
  exit: 3,
  cause: 'A message for the topic "{topic}" has {size} bytes; the broker allows {limit}.',
  remedy:
    'kafka-configs.sh --bootstrap-server … --alter --topic {topic} --add-config max.message.bytes=… (and the consumers\' fetch.max.bytes), then start again; or leave the table out of "tables".',
});

export const compactedKeyless = defineError({
  code: 'SLUICE_KAFKA_COMPACTED_KEYLESS',
  retry: 'manual',
  exit: 3,
  cause: 'The topic "{topic}" is compacted, and a message for it has no key: the table has no primary key, or it was truncated.',
  remedy:
    'kafka-configs.sh --bootstrap-server … --alter --topic {topic} --add-config cleanup.policy=delete. A compacted topic takes only messages with a key: for a table without a primary key give it one, or leave it out of "tables"; a table that is truncated cannot go there at all.',
});

export const recordRefused = defineError({
  code: 'SLUICE_KAFKA_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'Kafka refused what was sent for "{topic}": {detail}.',
  remedy: "Look at the topic's settings: kafka-configs.sh --bootstrap-server … --describe --topic {topic}",
});

export const closed = defineError({
  code: 'SLUICE_KAFKA_CLOSED',
  retry: 'auto',
  exit: 1,
  cause: 'The Kafka sink was closed before everything was confirmed.',
  remedy: 'Nothing is lost: what is not confirmed is sent again at the next start.',
});

// What preflight finds

export const rightsMissing = defineError({
  code: 'SLUICE_KAFKA_RIGHTS',
  retry: 'manual',
  exit: 3,
  cause: 'This Kafka user has not the right {operation} on the topic "{topic}".',
  remedy:
    'kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal User:<user> --operation {operation} --topic {topic} (Read is needed to recognise after a crash what stands there already)',
});

/** Clients are told by the brokers where each of them listens. */
export const brokerUnreachable = defineError({
  code: 'SLUICE_KAFKA_BROKER_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'Broker {id} cannot be reached at {address}, where it tells clients to find it (advertised.listeners): {detail}.',
  remedy:
    'Start the broker; or, where this machine knows it by another address, set advertised.listeners in its server.properties to one that leads to it from here, and restart it.',
});

export const replicationOne = defineError({
  code: 'SLUICE_KAFKA_ONE_REPLICA',
  retry: 'never',
  exit: 3,
  cause: 'The topic "{topic}" has one replica: a confirmation says that the message is in the file system cache of one broker.',
  remedy: 'Give topics three replicas and min.insync.replicas=2 where the loss of a broker must lose nothing.',
});

export const minInsyncOne = defineError({
  code: 'SLUICE_KAFKA_MIN_INSYNC',
  retry: 'never',
  exit: 3,
  cause: 'The topic "{topic}" has {replicas} replicas but min.insync.replicas=1: while the others lag, a confirmation is worth one broker.',
  remedy: 'kafka-configs.sh --bootstrap-server {brokers} --alter --topic {topic} --add-config min.insync.replicas=2',
});

export const minInsyncTooHigh = defineError({
  code: 'SLUICE_KAFKA_MIN_INSYNC_TOO_HIGH',
  retry: 'manual',
  exit: 3,
  cause: 'The topic "{topic}" has {replicas} replicas but min.insync.replicas={minimum}: it takes no message.',
  remedy: 'kafka-configs.sh --bootstrap-server {brokers} --alter --topic {topic} --add-config min.insync.replicas={most}',
});

export const deletesOld = defineError({
  code: 'SLUICE_KAFKA_DELETES',
  retry: 'never',
  exit: 3,
  cause: 'The topic "{topic}" deletes old messages, read or not ({limits}): a confirmation says only that the message came in.',
  remedy:
    'Size the limits for the slowest consumer; or, where the last message of each key is what counts and the table is never truncated (a TRUNCATE has no key, and a compacted topic refuses it): kafka-configs.sh --bootstrap-server {brokers} --alter --topic {topic} --add-config cleanup.policy=compact',
});

export const maxMessageSmall = defineError({
  code: 'SLUICE_KAFKA_MAX_MESSAGE',
  retry: 'never',
  exit: 3,
  cause: 'The topic "{topic}" takes batches of {limit} bytes at most, less than "request.bytes" ({bytes}): batches are made smaller for it.',
  remedy: 'kafka-configs.sh --bootstrap-server {brokers} --alter --topic {topic} --add-config max.message.bytes=1048588, or accept it.',
});

export const partitionsAdded = defineError({
  code: 'SLUICE_KAFKA_PARTITIONS_ADDED',
  retry: 'never',
  exit: 3,
  cause: 'The topic "{topic}" has {found} partitions now; this connector goes on with {saved}, so that no key moves.',
  remedy:
    'To use them, set "addedPartitions": "use" and restart while nothing is unconfirmed; keys that move have no order across the two partitions.',
});

export const kafkaErrors = [
  unreachable,
  authentication,
  tlsFailed,
  tlsFile,
  noToken,
  versionUnsupported,
  topicMissing,
  topicRefused,
  topicForbidden,
  clusterForbidden,
  groupForbidden,
  topicLost,
  otherCluster,
  partitionsFewer,
  nameTooLong,
  messageTooLarge,
  compactedKeyless,
  recordRefused,
  closed,
  rightsMissing,
  brokerUnreachable,
  replicationOne,
  minInsyncOne,
  minInsyncTooHigh,
  deletesOld,
  maxMessageSmall,
  partitionsAdded,
];

/** Those with which a single message is refused, and no other. */
export const undeliverable: readonly ErrorKind[] = [messageTooLarge, recordRefused];
