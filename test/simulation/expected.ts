import { partitionOfKey } from '../../connectors/kafka/partitioner.ts';
import { topicOf } from '../../connectors/kafka/topic.ts';
import { tableLabel } from '../../src/record/table.ts';
import type { Change, Committed } from './log.ts';
import { keyText } from './tables.ts';

/** A message that must come to stand in one partition. */
export interface Expected {
  readonly id: string;
  /** Number of the transaction. */
  readonly transaction: number;
  readonly version: number;
  /** Text that the value holds; null: a tombstone. */
  readonly holds: string | null;
  readonly key: string | null;
}

/** Numbers of a record's messages. */
const PART = { first: 0, tombstone: 1, newKey: 2 } as const;

/** What must stand where, said again without the engine: it is what the engine's work is held against. */
export class Oracle {
  /** By topic/partition, in commit order. */
  readonly partitions = new Map<string, Expected[]>();
  /** Of each transaction: messages that do not stand yet. */
  readonly open: number[] = [];
  readonly #template: string;
  readonly #connector: string;
  readonly #count: number;

  constructor(template: string, connector: string, partitions: number) {
    this.#template = template;
    this.#connector = connector;
    this.#count = partitions;
  }

  add(committed: Committed): void {
    const number = this.open.push(0) - 1;
    for (const change of committed.changes) {
      for (const { part, key, holds } of messagesOf(change)) {
        const id = `${this.#connector}/${committed.transaction.id}/${change.ordinal}/${part}`;
        for (const partition of this.#partitionsOf(change, key)) {
          const where = `${topicOf(this.#template, this.#connector, change.table)}/${partition}`;
          const list = this.partitions.get(where) ?? [];
          if (list.push({ id, transaction: number, version: change.version, holds, key }) === 1) this.partitions.set(where, list);
          this.open[number] = (this.open[number] as number) + 1;
        }
      }
    }
  }

  #partitionsOf(change: Change, key: string | null): readonly number[] {
    if (key !== null) return [partitionOfKey(Buffer.from(key), 0, key.length, this.#count)];
    if (change.op === 'truncate' && change.table.key.length > 0) return Array.from({ length: this.#count }, (_, each) => each);
    return [spreadOf(tableLabel(change.table)) % this.#count];
  }
}

function messagesOf(change: Change): readonly { readonly part: number; readonly key: string | null; readonly holds: string | null }[] {
  const key = keyText(change.table, change.key);
  const holds = `"v":"${change.value}"`;
  if (change.op === 'truncate') return [{ part: PART.first, key: null, holds: '"op":"truncate"' }];
  if (change.op === 'delete') {
    const first = { part: PART.first, key, holds: '"op":"delete"' };
    return key === null ? [first] : [first, { part: PART.tombstone, key, holds: null }];
  }
  const oldKey = keyText(change.table, change.oldKey);
  if (oldKey === key) return [{ part: PART.first, key, holds }];
  return [
    { part: PART.first, key: oldKey, holds: '"op":"delete"' },
    { part: PART.tombstone, key: oldKey, holds: null },
    { part: PART.newKey, key, holds },
  ];
}

/** FNV-1a over the table's label, 31 bits. */
function spreadOf(label: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(label)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash & 0x7fffffff;
}
