/** What preflight finds beside errors. Listed in the plug-in's manifest. */
import { defineFinding } from '#plugin';

export const shortDupeWindow = defineFinding({
  code: 'SLUICE_NATS_DUPE_WINDOW',
  severity: 'warning',
  cause: 'The stream "{stream}" recognises a repeated message for {seconds} s only.',
  why: 'After a lost connection what was not confirmed is sent again within twice "publishTimeout" ({needed} s): later than that a message that had arrived is stored twice.',
  remedy: 'nats stream edit {stream} --dupe-window {needed}s',
});

export const nearlyFull = defineFinding({
  code: 'SLUICE_NATS_NEARLY_FULL',
  severity: 'warning',
  cause: 'The stream "{stream}" is {percent} % full ({limit}).',
  why: 'A full stream takes no message: the connector waits, and the source keeps its log for it.',
  remedy: 'nats stream edit {stream} {option}, or let consumers make room.',
});

export const replicaBehind = defineFinding({
  code: 'SLUICE_NATS_REPLICA_BEHIND',
  severity: 'warning',
  cause: 'The stream "{stream}" has {replicas} replicas, and {behind} of them {are} not current: {names}.',
  why: 'Until they have caught up the loss of another server stops the stream, or loses what was confirmed.',
  remedy: 'Start the servers that are down: nats stream cluster info {stream} and nats server list show which.',
});

export const syncUnseen = defineFinding({
  code: 'SLUICE_NATS_SYNC_UNSEEN',
  severity: 'info',
  cause:
    'How often the NATS servers write to their disks (sync_interval) is told to no client: a confirmation of the stream "{stream}" is taken to be worth the file system caches of most of its {replicas} servers.',
  why: 'Where most of them lose their power at once, what was confirmed in the last two minutes (their default) may be gone.',
  remedy: 'Where that must not be: sync_interval: always in the jetstream section of each server. It makes them slower, and this note stays.',
});

export const clockSkew = defineFinding({
  code: 'SLUICE_NATS_CLOCK',
  severity: 'warning',
  cause: 'The clocks of the NATS server and of this machine are {seconds} s apart (the server is {direction}).',
  why: 'Consumers that begin at a time begin at another one; tokens and certificates may be refused.',
  remedy: 'On the machine whose clock is wrong: timedatectl set-ntp true',
});

export const notEncrypted = defineFinding({
  code: 'SLUICE_NATS_NOT_ENCRYPTED',
  severity: 'warning',
  cause: 'The connection to {server} is not encrypted.',
  why: 'Whoever is on the way reads every row that is sent, and can change it.',
  remedy: 'Set "tls": {"ca": "/etc/sluice/ca.pem"}, with a tls section in the configuration of the server.',
});
