/** Users of a secured Kafka: their SCRAM passwords, their unsigned tokens. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaUser } from './kafka-configuration.ts';
import type { KafkaNode } from './kafka-node.ts';
import { API, overWire, type WireConnection, WireWriter } from './kafka-protocol.ts';

/** The least that Kafka takes: these are tests. */
const ITERATIONS = 4096;
const MECHANISMS = [
  { code: 1, hash: 'sha256', bytes: 32 },
  { code: 2, hash: 'sha512', bytes: 64 },
] as const;
const PROPAGATION_MS = 30_000;

/**
 * Gives users their SCRAM-SHA-256 and SCRAM-SHA-512 passwords and waits until every running node knows the users. By request, not when the
 * data directory is formatted: so a password may hold any character, and can be changed while the broker runs.
 */
export async function setScramPasswords(nodes: readonly KafkaNode[], users: readonly KafkaUser[]): Promise<void> {
  const running = nodes.filter((node) => node.pid !== 0);
  const [first] = running;
  if (first === undefined) throw new Error('no Kafka node runs');
  // One request for each mechanism: Kafka takes a user only once in each.
  await overWire(first.direct, async (connection) => {
    for (const mechanism of MECHANISMS) await setOne(connection, mechanism, users);
  });
  await Promise.all(running.map((node) => waitForUsers(node, users)));
}

async function setOne(connection: WireConnection, mechanism: (typeof MECHANISMS)[number], users: readonly KafkaUser[]): Promise<void> {
  const body = new WireWriter().compactArray([], () => undefined);
  body.compactArray(users, (user) => {
    const salt = randomBytes(24);
    const salted = pbkdf2Sync(user.password, salt, ITERATIONS, mechanism.bytes, mechanism.hash);
    body.compactBytes(user.name).int8(mechanism.code).int32(ITERATIONS).compactBytes(salt).compactBytes(salted);
  });
  const answer = await connection.request(API.alterScram, 0, body.noTags().done(), true);
  answer.int32(); // throttle time
  const results = answer.compactArray(() => ({ user: answer.compactString(), error: answer.int16(), message: answer.compactString() }));
  const refused = results.find((result) => result.error !== 0);
  if (refused !== undefined) throw new Error(`Kafka refused the password of ${refused.user}: ${refused.message} (error ${refused.error})`);
}

async function waitForUsers(node: KafkaNode, users: readonly KafkaUser[]): Promise<void> {
  const deadline = Date.now() + PROPAGATION_MS;
  while (!(await knowsUsers(node, users))) {
    if (Date.now() > deadline) throw new Error(`Kafka node ${node.id} does not know its users after ${PROPAGATION_MS} ms`);
    await sleep(20);
  }
}

function knowsUsers(node: KafkaNode, users: readonly KafkaUser[]): Promise<boolean> {
  return overWire(node.direct, async (connection) => {
    const body = new WireWriter();
    body.compactArray(users, (user) => body.compactBytes(user.name));
    const answer = await connection.request(API.describeScram, 0, body.noTags().done(), true);
    answer.int32(); // throttle time
    const failed = answer.int16() !== 0;
    answer.compactString();
    const known = answer.compactArray(() => {
      answer.compactString();
      const error = answer.int16();
      answer.compactString();
      return answer.compactArray(() => answer.take(5)).length === MECHANISMS.length && error === 0;
    });
    return !failed && known.length === users.length && known.every(Boolean);
  });
}

/** A token for OAUTHBEARER that nobody signed (`alg: none`), as the secured listener takes it. @param seconds until it expires */
export function unsignedToken(user: string, seconds = 3600): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: user, iat: now, exp: now + seconds })}.`;
}
