/** What the server tells a user of the rights that it has. */
import type { NatsConnection } from '@nats-io/transport-node';
import { covers } from './subject.ts';

/** Answered by every server since 2.9 on the spot, if the user may ask. */
const SUBJECT = '$SYS.REQ.USER.INFO';
const ANSWER_MS = 1_000;

interface Rights {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/** The first of these subjects that the user may not publish to; null: none, or the server does not tell. */
export async function forbiddenSubject(connection: NatsConnection, subjects: readonly string[]): Promise<string | null> {
  if (subjects.length === 0) return null;
  let rights: Rights | undefined;
  try {
    const answer = await connection.request(SUBJECT, undefined, { timeout: ANSWER_MS });
    rights = (answer.json() as { data?: { permissions?: { publish?: Rights } } }).data?.permissions?.publish;
  } catch {
    // Not told: it shows when the first message is sent.
    return null;
  }
  return subjects.find((subject) => !mayPublish(rights ?? {}, subject)) ?? null;
}

export function mayPublish({ allow = [], deny = [] }: Rights, subject: string): boolean {
  const isIn = (patterns: readonly string[]): boolean => patterns.some((pattern) => covers(pattern, subject));
  return (allow.length === 0 || isIn(allow)) && !isIn(deny);
}
