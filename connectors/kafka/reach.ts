/** Whether clients can go where brokers send them. */
import { connect } from 'node:net';
import { clockGap, errorFinding, type Finding, findingOf, type PluginContext, rootMessage, SluiceError } from '#plugin';
import { isLocalHost, type KafkaConfig, parseBroker } from './config.ts';
import type { Advertised, KafkaDriver } from './drivers/driver.ts';
import { brokerUnreachable } from './errors.ts';
import { clockSkew, clockUnseen, notEncrypted } from './findings.ts';

const DIAL_MS = 4_000;
/** Brokers that are tried at most: a large cluster has more of the same. */
const TRIED = 64;

/** Dials each of them once, all at the same time. */
export async function reachFindings(brokers: readonly Advertised[], signal: AbortSignal): Promise<readonly Finding[]> {
  const tried = await Promise.all(
    brokers.slice(0, TRIED).map(async ({ id, host, port }) => {
      const detail = await refusal(host, port, signal);
      return detail === null ? [] : [errorFinding(new SluiceError(brokerUnreachable, { id, address: `${host}:${port}`, detail }))];
    }),
  );
  signal.throwIfAborted();
  return tried.flat();
}

/** Null: somebody listens there. */
function refusal(host: string, port: number, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (detail: string | null): void => {
      signal.removeEventListener('abort', aborted);
      socket.destroy();
      resolve(detail);
    };
    const aborted = (): void => end('it was given up');
    signal.addEventListener('abort', aborted, { once: true });
    socket.setTimeout(DIAL_MS, () => end('no answer'));
    socket.once('connect', () => end(null));
    socket.once('error', (error) => end(rootMessage(error)));
  });
}

/** How far the clocks are apart; where that is not told, what would have it told. */
export async function clockFindings(
  { driver: name, brokers }: Pick<KafkaConfig, 'driver' | 'brokers'>,
  { runtime }: Pick<PluginContext, 'runtime'>,
  driver: Pick<KafkaDriver, 'clock'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const asked = runtime.nowMicros();
  const now = await driver.clock(signal);
  if (now !== null) {
    const gap = clockGap(now, asked, runtime.nowMicros());
    return gap === null ? [] : [findingOf(clockSkew, gap)];
  }
  const grant = `kafka-acls.sh --bootstrap-server ${brokers.join(',')} --add --allow-principal User:<user> --operation Describe --cluster`;
  const [detail, remedy] =
    name === 'kafkajs'
      ? ['the driver "kafkajs" has no question for it', 'timedatectl status on each of the machines says whether its clock is kept.']
      : [
          'this Kafka user may not ask the controller, or the brokers are older than 3.9',
          `${grant} (brokers before 3.9: timedatectl status on each of the machines)`,
        ];
  return [findingOf(clockUnseen, { detail, remedy })];
}

/** Of the connection, where it leaves this machine. */
export function tlsFindings({ tls, brokers }: Pick<KafkaConfig, 'tls' | 'brokers'>): readonly Finding[] {
  const away = brokers.find((broker) => !isLocalHost(parseBroker(broker)?.host ?? ''));
  return tls !== undefined || away === undefined ? [] : [findingOf(notEncrypted, { broker: away })];
}
