/** Snappy and LZ4 for kafkajs, which has none of its own: those of the other client, WebAssembly without native code. For the whole process. */
import { compressionsAlgorithms } from '@platformatic/kafka';
import kafkajs from 'kafkajs';

const { CompressionCodecs, CompressionTypes } = kafkajs;

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4';

export const COMPRESSION: Readonly<Record<Compression, number>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
};

/** kafkajs' own writer of bytes. */
interface Encoder {
  readonly buffer: Buffer;
}

export function registerCodecs(): void {
  const codecs: Record<number, unknown> = CompressionCodecs;
  for (const name of ['snappy', 'lz4'] as const) {
    const { compressSync, decompressSync } = compressionsAlgorithms[name];
    codecs[COMPRESSION[name]] = () => ({
      compress: async ({ buffer }: Encoder) => compressSync(buffer),
      decompress: async (buffer: Buffer) => decompressSync(buffer),
    });
  }
}
