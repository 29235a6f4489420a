/** From this many entries for each bucket on Java's HashMap doubles its buckets (java.util.HashMap, "load factor"). */
const LOAD = 0.75;
const FIRST_BUCKETS = 16;

/** In the order in which a Java HashMap that the items were put into, in their order, gives them back: by bucket. Debezium counts a transaction's tables in one. */
export function inJavaOrder<T>(items: readonly T[], key: (item: T) => string): T[] {
  let buckets = FIRST_BUCKETS;
  while (items.length > buckets * LOAD) buckets *= 2;
  const bucketOf = new Map(items.map((item) => [item, spread(hashCode(key(item))) & (buckets - 1)]));
  return [...items].sort((one, other) => (bucketOf.get(one) as number) - (bucketOf.get(other) as number));
}

/** String.hashCode: over UTF-16 units, 32 bits. */
function hashCode(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) hash = (Math.imul(31, hash) + text.charCodeAt(index)) | 0;
  return hash;
}

function spread(hash: number): number {
  return hash ^ (hash >>> 16);
}
