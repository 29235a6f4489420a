/** What is found of the server, the session and its slots. Pure: everything was asked before. */
import { byteText, type Finding, findingOf } from '#plugin';
import { addressOf, isLocal, type PostgresConfig, tlsMode } from './config.ts';
import {
  idleTimeout,
  minorMemory,
  minorVersion,
  noHeartbeat,
  notEncrypted,
  notVerified,
  otherSlot,
  slotNearLimit,
  slotNoFailover,
  slotUnreserved,
  spills,
  transactionTimeout,
  walLimited,
  walSenderTimeoutOff,
  walSenderTimeoutShort,
  walUnlimited,
} from './findings.ts';
import type { SlotState } from './log/slot.ts';
import type { ServerFacts } from './server.ts';
import type { SlotUse, Vitals } from './vitals.ts';

/** Below it a pause that is nothing unusual ends the stream. */
const SHORT_TIMEOUT_MS = 5_000;
const ENOUGH_DECODING_KILOBYTES = 256 * 1024;
const MEGABYTE = 1024 ** 2;
/** Less is what a connector that is restarted leaves behind for a moment. */
const NOTABLE_BYTES = 64 * MEGABYTE;
const MUCH_BYTES = 1024 * MEGABYTE;

/** First minor release of each version without the loss of changes after ALTER PUBLICATION or ALTER TYPE beside running writes (release notes of 2025-05-08). */
const FIXED_MINORS: Readonly<Record<number, number>> = { 13: 21, 14: 18, 15: 13, 16: 9, 17: 5 };

export function minorFindings({ version, versionText }: Pick<ServerFacts, 'version' | 'versionText'>): Finding[] {
  const major = Math.floor(version / 10_000);
  const fixed = FIXED_MINORS[major];
  if (fixed === undefined) return [];
  const minor = version % 10_000;
  if (minor < fixed) return [findingOf(minorVersion, { version: versionText, fixed: `${major}.${fixed}` })];
  // The release that mended it brought the other one, and the next one mended that.
  return minor === fixed ? [findingOf(minorMemory, { version: versionText, fixed: `${major}.${fixed + 1}` })] : [];
}

export function serverFindings(config: PostgresConfig, server: ServerFacts, vitals: Vitals, slot: string): Finding[] {
  const findings = minorFindings(server);
  const { walSenderTimeoutMs: milliseconds, maxSlotWalKeepMegabytes: megabytes } = server;
  if (milliseconds === 0) findings.push(findingOf(walSenderTimeoutOff));
  else if (milliseconds < SHORT_TIMEOUT_MS) findings.push(findingOf(walSenderTimeoutShort, { milliseconds }));
  findings.push(megabytes < 0 ? findingOf(walUnlimited) : findingOf(walLimited, { megabytes, more: 4 * megabytes }));
  if (vitals.transactionTimeoutMs > 0) findings.push(findingOf(transactionTimeout, { user: server.user, milliseconds: vitals.transactionTimeoutMs }));
  if (vitals.spilledBytes > 0 && vitals.decodingMemoryKilobytes < ENOUGH_DECODING_KILOBYTES) {
    const parameters = { slot, bytes: byteText(vitals.spilledBytes), limit: byteText(vitals.decodingMemoryKilobytes * 1024) };
    findings.push(findingOf(spills, parameters));
  }
  if (!config.heartbeat.enabled && !server.standby) findings.push(findingOf(noHeartbeat));
  return findings;
}

/** What the connection is worth, where it leaves this machine. */
export function tlsFindings(config: PostgresConfig, encrypted: boolean, address: string): Finding[] {
  if (isLocal(addressOf(config).host)) return [];
  const mode = tlsMode(config);
  if (!encrypted) return [findingOf(notEncrypted, { address, mode })];
  if (mode === 'verify-full') return [];
  const what = mode === 'verify-ca' || config.tls.ca !== undefined ? 'the name in its certificate' : 'who answers';
  return [findingOf(notVerified, { address, mode, what })];
}

/** Of the connector's own slot, which can be used. */
export function slotFindings(name: string, slot: SlotState, server: ServerFacts, { slots }: Vitals): Finding[] {
  const findings: Finding[] = [];
  const use = slots.find((each) => each.name === name);
  const limit = server.maxSlotWalKeepMegabytes;
  const retained = use?.retained ?? 0;
  const megabytes = Math.ceil((2 * Math.max(retained, limit * MEGABYTE)) / MEGABYTE);
  if (slot.walStatus === 'unreserved') findings.push(findingOf(slotUnreserved, { slot: name, megabytes }));
  else if (use !== undefined && use.safe !== null && limit > 0 && use.safe <= (limit * MEGABYTE) / 4)
    findings.push(findingOf(slotNearLimit, { slot: name, retained: byteText(retained), safe: byteText(Math.max(0, use.safe)), megabytes }));
  if (server.version >= 170000 && !slot.failover && !server.standby && server.synchronizedStandbySlots !== '')
    findings.push(findingOf(slotNoFailover, { slot: name }));
  return findings;
}

/** Of slots in general: what ends them, and those that nobody reads. */
export function slotsFindings(own: string, { slots, idleSlotTimeoutSeconds: seconds }: Vitals): Finding[] {
  const isIdle = ({ name, active, retained, walStatus }: SlotUse): boolean =>
    name !== own && !active && walStatus !== 'lost' && retained >= NOTABLE_BYTES;
  return [
    ...(seconds > 0 ? [findingOf(idleTimeout, { seconds })] : []),
    ...slots
      .filter(isIdle)
      .map(({ name, retained }) =>
        findingOf(otherSlot, { slot: name, retained: byteText(retained) }, { severity: retained < MUCH_BYTES ? 'info' : 'warning' }),
      ),
  ];
}
