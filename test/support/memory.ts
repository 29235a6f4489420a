import { type MemoryShare, shareMemory } from '../../src/pipeline/memory.ts';

/** What a connector has where there is no `maxMemory`. */
export function unboundedMemory(batchBytes = 1000, inFlightBytes = 1000): MemoryShare {
  return shareMemory(null, [{ batchBytes, inFlightBytes }])[0] as MemoryShare;
}
