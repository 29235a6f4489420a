/** Whether clients can go where brokers send them. */
import { connect } from 'node:net';
import { errorFinding, type Finding, findingOf, rootMessage, SluiceError } from '#plugin';
import { isLocalHost, type KafkaConfig, parseBroker } from './config.ts';
import type { Advertised } from './drivers/driver.ts';
import { brokerUnreachable } from './errors.ts';
import { notEncrypted } from './findings.ts';

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

/** Of the connection, where it leaves this machine. */
export function tlsFindings({ tls, brokers }: Pick<KafkaConfig, 'tls' | 'brokers'>): readonly Finding[] {
  const away = brokers.find((broker) => !isLocalHost(parseBroker(broker)?.host ?? ''));
  return tls !== undefined || away === undefined ? [] : [findingOf(notEncrypted, { broker: away })];
}
