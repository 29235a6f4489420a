import { defineError, type ErrorKind } from '#plugin';

// Reaching the server

export const unreachable = defineError({
  code: 'SLUICE_NATS_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'No NATS server can be reached ({detail}).',
  remedy: 'Check "servers", that a server runs there and that the network lets this machine through; it is tried again.',
});

export const authentication = defineError({
  code: 'SLUICE_NATS_AUTH',
  refusesCredentials: true,
  retry: 'manual',
  exit: 2,
  cause: 'The NATS server at {address} did not accept the credentials ({detail}).',
  remedy: 'Check "auth" (one of user and password, token, nkey, credentials) against the server\'s authorization or accounts section.',
});

export const credentialsInvalid = defineError({
  code: 'SLUICE_NATS_CREDENTIALS',
  retry: 'never',
  exit: 2,
  cause: '"auth.{option}" cannot be used: {detail}.',
  remedy: 'An nkey seed begins with SU; a credentials file is what "nsc generate creds" writes and must be readable by the user that runs Sluice.',
});

export const tlsFailed = defineError({
  code: 'SLUICE_NATS_TLS',
  retry: 'manual',
  exit: 2,
  cause: 'No TLS connection to the NATS server at {address}: {detail}.',
  remedy:
    'Set "tls.ca" to the PEM file of the authority that signed the server\'s certificate, "tls.cert" and "tls.key" where the server asks for a client certificate, "tls.serverName" where the certificate is for another name; a server without TLS is reached by nats:// and no "tls" section.',
});

export const tlsFile = defineError({
  code: 'SLUICE_NATS_TLS_FILE',
  retry: 'never',
  exit: 2,
  cause: 'The file "{path}" of "tls.{option}" {detail}.',
  remedy: 'Correct the path; the file must be PEM and readable by the user that runs Sluice.',
});

export const permission = defineError({
  code: 'SLUICE_NATS_PERMISSION',
  retry: 'manual',
  exit: 3,
  cause: 'The NATS user may not {operation} "{subject}".',
  remedy:
    'Give the user the permissions publish: ["{subjects}", "$JS.API.INFO", "$JS.API.STREAM.INFO.{stream}", "$JS.API.STREAM.CREATE.{stream}", "$JS.API.STREAM.MSG.GET.{stream}", "$JS.API.CONSUMER.*.{stream}.>", "$JS.API.CONSUMER.MSG.NEXT.{stream}.>"] and subscribe: ["_INBOX.>"].',
});

// JetStream and the stream

export const jetStreamUnavailable = defineError({
  code: 'SLUICE_NATS_JETSTREAM_UNAVAILABLE',
  retry: 'auto',
  exit: 3,
  cause: 'JetStream does not answer on the NATS server at {address} ({detail}).',
  remedy: 'If the cluster is electing a leader this passes by itself; else start nats-server with -js. It is tried again.',
});

export const jetStreamDisabled = defineError({
  code: 'SLUICE_NATS_JETSTREAM_DISABLED',
  retry: 'manual',
  exit: 3,
  cause: 'JetStream is not enabled for the account of this NATS user.',
  remedy: 'Add "jetstream: enabled" to the account in the server\'s configuration, or: nsc edit account <name> --js-disk-storage -1',
});

export const streamMissing = defineError({
  code: 'SLUICE_NATS_STREAM_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'There is no stream "{stream}", and it may not be created here.',
  remedy:
    'nats stream add {stream} --subjects "{subjects}" --storage file --replicas {replicas} --retention limits --discard new --dupe-window 10s --defaults',
});

export const streamRefused = defineError({
  code: 'SLUICE_NATS_STREAM_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" could not be created: {detail}.',
  remedy:
    'Where another stream holds the subjects "{subjects}", change "subject" or remove them there (nats stream edit); where storage or replicas are the limit, lower "replicas" or raise the account\'s limits.',
});

export const streamUnfit = defineError({
  code: 'SLUICE_NATS_STREAM_UNFIT',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" cannot take the messages: {detail}.',
  remedy: '{remedy}',
});

export const streamLost = defineError({
  code: 'SLUICE_NATS_STREAM_LOST',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" is not the one that this connector wrote to ({detail}): what was confirmed there may be gone.',
  remedy:
    'Restore the stream from a backup (nats stream restore). To go on without what is gone: let the stream exist (nats stream add), then sluice offsets recover --connector {connector} --from slot; to publish again what the source still has, after that also sluice offsets set --connector {connector} --position …',
});

export const messagesLost = defineError({
  code: 'SLUICE_NATS_MESSAGES_LOST',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" ends at sequence {end}, but sequence {confirmed} was confirmed: the server lost messages that it had acknowledged.',
  remedy:
    'Publish them again, as long as the source has them: sluice offsets recover --connector {connector} --from slot, then sluice offsets set --connector {connector} --position … to where it was before they were committed. To prevent it: replicas 3, or sync_interval: always in the jetstream section of the server.',
});

export const noProgress = defineError({
  code: 'SLUICE_NATS_NO_PROGRESS',
  retry: 'auto',
  exit: 3,
  cause: 'No message was confirmed by NATS since {since}, in {count} attempts; the last: {trouble}.',
  remedy:
    'Look into the log of the NATS server for why it ends connections or does not answer, and at proxies and firewalls on the way. Where a message is named, compare its size with max_payload and max_control_line of the server and with what lies between. It is tried again.',
});

// Single messages

export const messageTooLarge = defineError({
  code: 'SLUICE_NATS_MESSAGE_TOO_LARGE',
  retry: 'manual',
  exit: 3,
  cause: 'A message for {subject} has {size} bytes; {limitName} allows {limit}.',
  remedy: 'Raise {limitName} ({how}) and start again, or leave the table out of "tables".',
});

export const headerUnsafe = defineError({
  code: 'SLUICE_NATS_HEADER_UNSAFE',
  retry: 'manual',
  exit: 1,
  cause: 'A message for {subject} has a line break in {part}, which would break its headers open.',
  remedy: 'Use a format that writes keys as JSON (debezium, native), which escapes line breaks.',
});

export const refused = defineError({
  code: 'SLUICE_NATS_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" refused a message for {subject}: {detail} (error {code}).',
  remedy: "Look at the stream's settings: nats stream info {stream}",
});

export const closed = defineError({
  code: 'SLUICE_NATS_CLOSED',
  retry: 'auto',
  exit: 1,
  cause: 'The NATS sink was closed before everything was confirmed.',
  remedy: 'Nothing is lost: what is not confirmed is sent again at the next start.',
});

// What preflight finds

export const subjectsUncovered = defineError({
  code: 'SLUICE_NATS_SUBJECTS',
  retry: 'manual',
  exit: 3,
  cause: 'The stream "{stream}" does not listen to "{subjects}".',
  remedy: 'nats stream edit {stream} --subjects "{all}"',
});

export const memoryStorage = defineError({
  code: 'SLUICE_NATS_MEMORY_STORAGE',
  retry: 'never',
  exit: 3,
  cause: 'The stream "{stream}" is kept in memory: what it confirmed is gone when the server ends.',
  remedy: 'Make a stream with --storage file (it cannot be changed afterwards), or accept it.',
});

export const discardsOld = defineError({
  code: 'SLUICE_NATS_DISCARDS',
  retry: 'never',
  exit: 3,
  cause:
    'The stream "{stream}" throws away its oldest messages at its limits ({limits}), read or not: a confirmation says only that the message came in.',
  remedy: 'nats stream edit {stream} --discard new (Sluice then waits until there is room), or size the limits for the slowest consumer.',
});

export const removesRead = defineError({
  code: 'SLUICE_NATS_RETENTION',
  retry: 'never',
  exit: 3,
  cause: 'The stream "{stream}" has retention {retention}: messages that were read are removed, so that after a crash some may be published twice.',
  remedy: 'Use a stream with --retention limits, or let consumers ignore repeated Nats-Msg-Id.',
});

export const oneReplica = defineError({
  code: 'SLUICE_NATS_ONE_REPLICA',
  retry: 'never',
  exit: 3,
  cause:
    'The stream "{stream}" has one replica: a confirmation says that the message is in the file system cache of one server (how often that is written to the disk, sync_interval, no client is told).',
  remedy:
    'nats stream edit {stream} --replicas 3, or sync_interval: always in the jetstream section of the server, where a power failure must lose nothing.',
});

export const versionOld = defineError({
  code: 'SLUICE_NATS_VERSION',
  retry: 'never',
  exit: 3,
  cause: 'The NATS server is version {version}; 2.10 is the oldest that is tested.',
  remedy: 'Upgrade the server.',
});

export const natsErrors = [
  unreachable,
  authentication,
  credentialsInvalid,
  tlsFailed,
  tlsFile,
  permission,
  jetStreamUnavailable,
  jetStreamDisabled,
  streamMissing,
  streamRefused,
  streamUnfit,
  streamLost,
  messagesLost,
  noProgress,
  messageTooLarge,
  headerUnsafe,
  refused,
  closed,
  subjectsUncovered,
  memoryStorage,
  discardsOld,
  removesRead,
  oneReplica,
  versionOld,
];

/** Those with which a single message is refused, and no other. */
export const undeliverable: readonly ErrorKind[] = [messageTooLarge, headerUnsafe, refused];
