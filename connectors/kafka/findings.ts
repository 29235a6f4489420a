/** What preflight finds beside errors. Listed in the plug-in's manifest. */
import { defineFinding } from '#plugin';

export const uncleanElection = defineFinding({
  code: 'SLUICE_KAFKA_UNCLEAN_ELECTION',
  severity: 'warning',
  cause: 'The topic "{topic}" lets a replica lead that lags behind (unclean.leader.election.enable=true).',
  why: 'Messages that were confirmed are cut off when it comes to lead, and nothing tells of it.',
  remedy: 'kafka-configs.sh --bootstrap-server {brokers} --alter --topic {topic} --add-config unclean.leader.election.enable=false',
});

export const underReplicated = defineFinding({
  code: 'SLUICE_KAFKA_UNDER_REPLICATED',
  severity: 'warning',
  cause:
    'Of the topic "{topic}" {count} of {partitions} partitions have fewer replicas in sync than they should: {inSync} of {replicas} in the worst.',
  why: 'A confirmation is worth fewer brokers than the topic says; below min.insync.replicas it takes no message at all.',
  remedy:
    'Start the brokers that are down, or find out why they lag: kafka-topics.sh --bootstrap-server {brokers} --describe --under-replicated-partitions',
});

export const settingsUnseen = defineFinding({
  code: 'SLUICE_KAFKA_SETTINGS_UNSEEN',
  severity: 'info',
  cause: 'This Kafka user may not read the settings of the topic "{topic}".',
  why: 'Whether old messages are deleted there, how large one may be and what a confirmation is worth was not looked at.',
  remedy: 'kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal User:<user> --operation DescribeConfigs --topic {topic}',
});

export const clockSkew = defineFinding({
  code: 'SLUICE_KAFKA_CLOCK',
  severity: 'warning',
  cause: 'The clocks of the Kafka controller and of this machine are {seconds} s apart (the controller is {direction}).',
  why: 'Records carry the time of this machine: brokers delete them too early or too late (retention.ms), and refuse what is too far ahead (message.timestamp.after.max.ms); tokens and certificates may be refused.',
  remedy: 'On the machine whose clock is wrong: timedatectl set-ntp true',
});

export const clockUnseen = defineFinding({
  code: 'SLUICE_KAFKA_CLOCK_UNSEEN',
  severity: 'info',
  cause: 'What time it is on the brokers was not told: {detail}.',
  why: 'Whether their clocks and that of this machine are apart was not looked at.',
  remedy: '{remedy}',
});

export const notEncrypted = defineFinding({
  code: 'SLUICE_KAFKA_NOT_ENCRYPTED',
  severity: 'warning',
  cause: 'The connection to {broker} is not encrypted: there is no "tls" section.',
  why: 'Whoever is on the way reads every row that is sent, and can change it.',
  remedy: 'Set "tls": {"ca": "/etc/sluice/ca.pem"}, with "brokers" naming a listener that speaks TLS.',
});
